#!/bin/bash
# An experiment as a Slurm array: every task does what no other is doing, and a last job joins, reports and tracks.
#
#   shards=$(sbatch --parsable --array=1-16 examples/slurm-array.sh paper.toml)
#   sbatch --dependency=afterany:$shards --wrap="vlrb --cache $VLRB_CACHE run paper.toml"
#
# The cache folder must be one that all nodes see.  A task that is stopped by its time limit loses at most the piece that it
# was doing: submit the array again, and it goes on.

#SBATCH --job-name=vlrb
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=08:00:00
#SBATCH --signal=TERM@60
#SBATCH --requeue

set -eu
export VLRB_CACHE="${VLRB_CACHE:-$HOME/vlrb-cache}"
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
exec vlrb run "$1" --shard auto
