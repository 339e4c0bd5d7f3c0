# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What every Slurm script of Atoll shares: start or resume a run, save it before the job ends, requeue.  To be sourced.
#
#   at_job RUN SYSTEM CONFIG.yaml [key=value ...]     a run that can be resumed
#   at_command COMMAND [WORD ...]                     any other command of atoll, from start to end
#
# at_job starts `atoll SYSTEM CONFIG.yaml run=RUN key=value ...` on the ranks of the job, or `atoll resume RUN` if RUN holds a run
# already: so the same script serves a first start, a requeue, and a second sbatch with the same RUN.  It does not return:
#
#   exit 0   the run is complete
#   exit 75  it was stopped by a signal and has saved its last complete round.  After SIGUSR1 (from #SBATCH
#            --signal=B:USR1@SECONDS, shortly before the time limit) or at the limit itself the job has been put back into
#            the queue; after scancel it stays cancelled, and the next sbatch with the same RUN goes on
#   exit 76  a rank stopped making progress and the watchdog ended the job; it has been put back into the queue likewise, since
#            another node may do better, but only if a round was saved since it started
#   other    what atoll or its launcher returned (`atoll --help` lists the codes)
#
# A job that completed no round since it started is not requeued: it would never finish.
#
# Variables that decide:
#   ATOLL           the program (default: build/atoll of this repository, else atoll from PATH)
#   ATOLL_LAUNCHER  srun or mpirun (default: srun where Slurm offers PMIx, else mpirun)
#   ATOLL_REQUEUES  how often a job may be requeued at most (default: 100)
# Ranks are the job's tasks (--ntasks), threads of a rank its --cpus-per-task.

at_say() { echo "job ${SLURM_JOB_ID:-?}: $*"; }

at_find_program() {
  local here
  here=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")
  if [ -z "${ATOLL:-}" ]; then
    ATOLL=atoll
    [ -x "$here/build/atoll" ] && ATOLL=$here/build/atoll
  fi
  command -v "$ATOLL" > /dev/null || {
    at_say "$ATOLL is not a program: build it with make, or say ATOLL=/path/to/atoll"
    exit 2
  }
}

# Threads of a rank are the cores of a task; libraries that have threads of their own follow.
at_take_share() {
  export ATOLL_THREADS=${SLURM_CPUS_PER_TASK:-1}
  export OMP_NUM_THREADS=$ATOLL_THREADS OPENBLAS_NUM_THREADS=$ATOLL_THREADS
}

# The command before the program's name, into the array `launch`.
at_choose_launcher() {
  local pmix=no ranks=${SLURM_NTASKS:-1} threads=${SLURM_CPUS_PER_TASK:-1}
  srun --mpi=list 2>&1 | grep -qw pmix && pmix=yes
  [ -n "${ATOLL_LAUNCHER:-}" ] || { ATOLL_LAUNCHER=mpirun && [ $pmix = yes ] && ATOLL_LAUNCHER=srun; }
  case $ATOLL_LAUNCHER in
    srun)
      [ $pmix = yes ] || { at_say "this Slurm has no PMIx for srun: say ATOLL_LAUNCHER=mpirun"; exit 2; }
      # Slurm does not hand --cpus-per-task down to srun by itself.
      launch=(srun --mpi=pmix --kill-on-bad-exit=1 --cpu-bind=cores --ntasks="$ranks" --cpus-per-task="$threads")
      ;;
    mpirun)
      # mpirun knows nothing of the other jobs on a node and would bind two of them to the same cores; the job's own
      # mask or cgroup still holds.  When a rank dies, or at scancel, the others have 3 s to save themselves.
      launch=(mpirun -n "$ranks" --bind-to none --mca odls_base_sigkill_timeout 3)
      [ "$(id -u)" = 0 ] && launch+=(--allow-run-as-root)
      ;;
    *) at_say "ATOLL_LAUNCHER is srun or mpirun, not '$ATOLL_LAUNCHER'"; exit 2 ;;
  esac
}

at_newest_checkpoint() {
  local files=("$1"/checkpoints/[0-9]*.h5)
  [ -e "${files[-1]}" ] && basename "${files[-1]}" .h5
}

# Run the rest of the line in the background, pass signals on to it as SIGUSR1 (which both launchers forward to all ranks,
# where SIGTERM would make them kill), wait for its end, and return its code.  `at_signal` tells what came.
at_run_and_wait() {
  local pid='' code
  at_signal=
  trap 'at_signal=USR1; [ -z "$pid" ] || kill -USR1 "$pid" 2> /dev/null' USR1
  trap 'at_signal=TERM; [ -z "$pid" ] || kill -USR1 "$pid" 2> /dev/null' TERM
  "$@" &
  pid=$!
  [ -z "$at_signal" ] || kill -USR1 "$pid"
  while :; do
    wait "$pid"
    code=$?
    # A signal ends `wait` too.
    kill -0 "$pid" 2> /dev/null || break
  done
  # Slurm signals this shell once more when it takes the job off the node.
  trap '' USR1 TERM
  return "$code"
}

at_requeue() {
  local run=$1 before=$2 after job=$SLURM_JOB_ID
  after=$(at_newest_checkpoint "$run")
  [ -n "${SLURM_ARRAY_JOB_ID:-}" ] && job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
  if [ "$after" = "$before" ]; then
    at_say "no round was completed since the start: not requeued; give the job more time (--time)"
  elif [ "${SLURM_RESTART_COUNT:-0}" -ge "${ATOLL_REQUEUES:-100}" ]; then
    at_say "requeued ${SLURM_RESTART_COUNT} times already: not again (ATOLL_REQUEUES)"
  elif scontrol requeue "$job"; then
    at_say "saved after round $((10#$after)), requeued"
  else
    at_say "saved after round $((10#$after)), but Slurm does not requeue: submit it again with the same run folder"
  fi
}

# Did the time limit stop us, or its announcement, rather than scancel?
at_is_time_up() {
  [ "$at_signal" = USR1 ] || scontrol show job "$SLURM_JOB_ID" --oneliner | grep -q ' Reason=TimeLimit '
}

at_prepare() {
  at_find_program
  at_take_share
  at_choose_launcher
  at_say "${SLURM_NTASKS:-1} ranks of $ATOLL_THREADS threads on ${SLURM_JOB_NODELIST:-this machine}," \
    "start $((${SLURM_RESTART_COUNT:-0} + 1)), ${launch[0]}"
}

at_command() {
  at_prepare
  exec "${launch[@]}" "$ATOLL" "$@"
}

at_job() {
  local run=$1 system=$2 config=$3 before code
  shift 3
  at_prepare
  before=$(at_newest_checkpoint "$run")
  local command=("$ATOLL" "$system" "$config" "run=$run" "$@")
  [ -e "$run/config.yaml" ] && command=("$ATOLL" resume "$run")
  at_say "${command[*]}"
  rm -f "$run/stalled"
  at_run_and_wait "${launch[@]}" "${command[@]}"
  code=$?
  # srun and mpirun may put their own code in the place of the ranks'; the watchdog's file says it all the same.
  [ $code != 0 ] && [ $code != 75 ] && [ -e "$run/stalled" ] && code=76
  if [ $code = 76 ] || { [ $code = 75 ] && at_is_time_up; }; then
    at_requeue "$run" "$before"
  elif [ $code = 75 ]; then
    at_say "saved; to go on, submit it again with the same run folder $run"
  fi
  exit "$code"
}
