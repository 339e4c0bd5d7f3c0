/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is in which team. */
#include "src/fed/teams.h"

/* The first rank r with r places / ranks >= team. */
static int64_t first_of(int64_t team, int64_t ranks, int64_t places) {
  return (team * ranks + places - 1) / places;
}

at_team at_team_of(int rank, int ranks, int64_t places) {
  if (ranks < places) {
    return (at_team){.teams = ranks, .team = rank, .size = 1};
  }
  int64_t team = rank * places / ranks, first = first_of(team, ranks, places);
  return (at_team){.teams = (int)places,
                   .team = (int)team,
                   .size = (int)(first_of(team + 1, ranks, places) - first),
                   .index = (int)(rank - first)};
}

int64_t at_team_share(int64_t count, int turn, int turns) {
  return turn < count ? (count - turn + turns - 1) / turns : 0;
}
