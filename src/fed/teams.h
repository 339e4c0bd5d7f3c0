/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranks in teams, where there are more of them than clients to play: a team shares the islands of its clients.
 *
 * R ranks, S places for clients.  R >= S: rank r is in team r S / R (as of src/comm/collective/silos.h), one team for each place;
 * R < S: every rank is a team.  Place s belongs to team s mod teams; the first rank of a team leads it.  What is computed does not
 * depend on any of this. */
#ifndef AT_FED_TEAMS_H
#define AT_FED_TEAMS_H

#include <stdint.h>

typedef struct at_team {
  int teams, team; /* how many; this rank's */
  int size, index; /* ranks in it; this rank's place: 0 leads */
} at_team;

at_team at_team_of(int rank, int ranks, int64_t places);

/* Of `count` things 0, 1, ... that the team's ranks (or teams) take in turn: how many are this one's. */
int64_t at_team_share(int64_t count, int turn, int turns);

#endif
