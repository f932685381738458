#!/bin/bash
# An experiment as a Slurm array job: each task computes a chunk of the cells that `ser-train plan` lists, then one more job makes the
# tables and the report. Run it on a machine that has sbatch, from the folder that relative paths start from:
#
#   bash slurm-array.sh RUN_FOLDER EXPERIMENT [OPTIONS of `ser-train plan`]
#   bash slurm-array.sh runs/table1 table1 --features iemocap.parquet
#
# It prints the two job numbers. RUN_FOLDER and the tables must lie where every node sees them. Logs go to RUN_FOLDER/slurm.
#
# Resumable: a cell's result is on disk as soon as it is there, and a cell that is there is not computed again. After a time limit, a
# lost node or scancel, submit the same command again; tasks with nothing left to do end at once. A task that is requeued goes on.
# The last job waits until all tasks have ended, well or not (afterany), and computes what a few of them left undone; where more than
# a chunk is missing it says so and stops, since that is work for the array.
#
# Settings, by environment variables:
#   SER_TRAIN       the program [ser-train]
#   SER_CHUNK       cells of a task [20]; neighbours share generators and reductions, so chunks of a few dozen save work. Longer chunks
#                   are taken where the cluster's MaxArraySize asks for it
#   SER_TASKS       tasks that run at the same time [no limit]
#   SER_OPTIONS     options of `ser-train run`, such as "--device wgpu"
#   SER_SBATCH      options of sbatch, such as "--partition=gpu --gres=gpu:1 --time=2:00:00"
#
# Resources of a task, unless SER_SBATCH asks for others. A cell takes one core, so a task computes as many side by side as it
# has cores; 2 GB a core are ample for 6000 rows of 1582 features.
#SBATCH --job-name=ser-train
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=2G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append

set -euo pipefail

die() {
    echo "slurm-array.sh: $*" >&2
    exit 1
}

program=${SER_TRAIN:-ser-train}
read -r -a options <<<"${SER_OPTIONS:-}"
read -r -a resources <<<"${SER_SBATCH:-}"

run() {
    "$program" run "$@" --jobs "${SLURM_CPUS_PER_TASK:-1}" ${options[@]+"${options[@]}"}
}

# In a job: how many cells there are in all and in a chunk, then the command line.
case ${1:-} in
--cells)
    total=$2 chunk=$3 folder=$4
    shift 4
    first=$((SLURM_ARRAY_TASK_ID * chunk))
    last=$((first + chunk < total ? first + chunk - 1 : total - 1))
    echo "cells $first to $last of $total, on $(hostname)"
    run "$@" -o "$folder" --cell "$first-$last"
    exit
    ;;
--tables)
    total=$2 chunk=$3 folder=$4
    shift 4
    mkdir -p "$folder/cells"
    there=$(find "$folder/cells" -name '*.json' | wc -l)
    if ((total - there > chunk)); then
        die "$((total - there)) of $total cells are missing: see the logs in $folder/slurm, then submit again"
    fi
    run "$@" -o "$folder" --resume
    exit
    ;;
esac

(($# >= 2)) || die "usage: bash slurm-array.sh RUN_FOLDER EXPERIMENT [OPTIONS of \`ser-train plan\`]"
[[ $1 != -* ]] || die "the run's folder comes first, not $1"
[[ -z ${SLURM_ARRAY_TASK_ID:-} ]] || die "run it with bash, not with sbatch: it submits itself"
command -v sbatch >/dev/null || die "there is no sbatch on this machine"
command -v "$program" >/dev/null || die "there is no program $program: put ser-train on the PATH or name it in SER_TRAIN"

folder=$1
shift
chunk=${SER_CHUNK:-20}
[[ $chunk =~ ^[1-9][0-9]*$ ]] || die "SER_CHUNK must be a number of cells, not $chunk"
total=$("$program" plan "$@" --count)
[[ $total =~ ^[1-9][0-9]*$ ]] || die "\`$program plan $* --count\` gave no number of cells: $total"

# Slurm numbers tasks from 0 to MaxArraySize - 1.
most=$(scontrol show config | sed -n 's/^MaxArraySize *= *\([0-9][0-9]*\).*/\1/p')
most=${most:-1001}
if (((total + chunk - 1) / chunk > most)); then
    chunk=$(((total + most - 1) / most))
    echo "$chunk cells a task: the cluster takes arrays of $most tasks" >&2
fi
tasks=$(((total + chunk - 1) / chunk))

mkdir -p "$folder/slurm"
submit() {
    sbatch --parsable ${resources[@]+"${resources[@]}"} "$@" | cut -d ';' -f 1
}
array=$(submit --array="0-$((tasks - 1))${SER_TASKS:+%$SER_TASKS}" --output="$folder/slurm/%A_%a.log" \
    "$0" --cells "$total" "$chunk" "$folder" "$@")
tables=$(submit --dependency="afterany:$array" --output="$folder/slurm/%j-tables.log" \
    "$0" --tables "$total" "$chunk" "$folder" "$@")
echo "$total cells in $tasks tasks: job $array; tables: job $tables"
