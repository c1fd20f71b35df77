# For scripts that take minutes: says what is done and how far it is. On a terminal the line moves; in a log there is one
# line a step, and one for each quarter of a long one. To be sourced.

# Scripts that this one runs count from the same moment.
export REPLYGATE_BEGAN=${REPLYGATE_BEGAN:-$(($(date +%s) - SECONDS))}
progress_last=""

# Minutes and seconds since the script began.
elapsed() {
  local seconds=$(($(date +%s) - REPLYGATE_BEGAN))
  printf '%d:%02d' $((seconds / 60)) $((seconds % 60))
}

# step TEXT: what begins now.
step() {
  progress_last=$1
  if [ -t 2 ]; then printf '\r\033[K[%s] %s …' "$(elapsed)" "$1" >&2; else printf '[%s] %s\n' "$(elapsed)" "$1" >&2; fi
}

# The step is over: its line stays, with what came of it.
step_done() {
  if [ -t 2 ]; then printf '\r\033[K' >&2; fi
  printf '[%s] %s: %s\n' "$(elapsed)" "$progress_last" "$1" >&2
}

# Reads "@n/m …" from a program that counts what it does, and shows n of m, or a percentage of "@n/100%"; other lines are
# passed on.
count_steps() {
  local line now of quarter far shown=0
  while IFS= read -r line; do
    if [[ $line =~ ^@([0-9]+)/([0-9]+)(%?) ]]; then
      now=${BASH_REMATCH[1]} of=${BASH_REMATCH[2]}
      quarter=$((now * 4 / of))
      far="$now of $of"
      [ -z "${BASH_REMATCH[3]}" ] || far="$now %"
      if [ -t 2 ]; then
        printf '\r\033[K[%s] %s: %s' "$(elapsed)" "$progress_last" "$far" >&2
      elif [ "$quarter" -gt "$shown" ] && [ "$now" -lt "$of" ]; then
        printf '[%s] %s: %s\n' "$(elapsed)" "$progress_last" "$far" >&2
        shown=$quarter
      fi
    else
      printf '%s\n' "$line"
    fi
  done
}

# configure_preset PRESET [OPTION…]: silent unless it fails.
configure_preset() {
  local preset=$1 said
  shift
  if ! said=$(cmake --preset "$preset" "$@" 2>&1); then
    printf '%s\n' "$said" >&2
    return 1
  fi
}

# build_targets PRESET [TARGET…]: what the compiler says is passed on to standard output.
build_targets() {
  local preset=$1
  shift
  NINJA_STATUS='@%f/%t ' cmake --build --preset "$preset" -j "$(nproc)" ${1:+--target "$@"} 2>&1 | count_steps |
    sed '/^ninja: no work to do/d'
}
