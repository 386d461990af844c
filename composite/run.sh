# shellcheck shell=bash
# Starts the gate without Docker: finds a Python, installs the locked packages into an environment, and runs the gate.
# It reads no input. It is sourced, so that the gate becomes the process that the runner signals.
set -e
# The runner signals only the shell. bash ignores SIGINT if the command that it waits for succeeds, so a canceled job
# would still be evaluated.
trap 'exit 130' INT

no_result() {
  printf '%s\n' decision=error conclusion=failure "reason=$1" 'gates=[]' >>"$GITHUB_OUTPUT" || true
}
no_result "The step ended before the gate started. Re-run the job." # later values replace it

stop() {
  echo "::error title=Sepurux gate::$1"
  no_result "$1"
  exit 2 # nothing was evaluated
}

# Prints a name for the environment: another lock, interpreter or version has another one.
named='
import sys
if sys.version_info < (3, 11):
    sys.exit(1)
import ensurepip, hashlib, venv
with open(sys.argv[1], "rb") as lock:
    key = lock.read() + f"{sys.executable} {sys.version}".encode()
sys.stdout.write(f"sepurux-gate-{hashlib.sha256(key).hexdigest()[:16]}")
'
[ "$RUNNER_OS" != Windows ] || stop "The gate runs on Linux and macOS, not on Windows. Use another runner for this job."
[ -n "$RUNNER_TEMP" ] && [ -d "$RUNNER_TEMP" ] ||
  stop "The runner's temporary folder does not exist. Set RUNNER_TEMP to a folder."
lock=$GITHUB_ACTION_PATH/../requirements.txt
[ -r "$lock" ] || stop "The action's requirements.txt is missing. Use sepurux/gate-action/composite or a copy of the \
whole repository, and re-run the job."

# -I: neither a module of the checkout nor a PYTHON* variable of an earlier step reaches an interpreter. The one that
# venv starts by itself is without it, so the variables go.
# shellcheck disable=SC2086 # in quotes all the names may be one word to the old bash of macOS, and none an empty one
unset ${!PYTHON@}
name=
for python in python3 python; do
  # Away from the checkout: a relative entry of PATH, or a version file that a launcher looks for, would let it choose.
  if name=$(cd "$RUNNER_TEMP" && "$python" -I -c "$named" "$lock" 2>/dev/null); then break; fi
done
[ -n "$name" ] || stop "No Python 3.11 or newer that can make a virtual environment was found on this runner. Add a step \
with actions/setup-python and python-version 3.13 before this one."

# The runner empties this folder with every job, and no checkout reaches it. A step that runs the code of a pull request
# does, but it could as well replace Python or the action itself: such code needs a job of its own, here as everywhere.
venv=$RUNNER_TEMP/$name
if [ ! -e "$venv/ready" ] || [ ! -x "$venv/bin/python" ]; then # a cleaner of old files may have left a part
  (cd "$RUNNER_TEMP" && "$python" -I -m venv --clear "$venv") ||
    stop "$python could not make a virtual environment in the runner's temporary folder."
  # Of pip's variables only those count that say how to reach an index: a company has its mirror. Others, such as
  # PIP_CONSTRAINT, are for the packages of the job and would break this install or change it.
  for variable in ${!PIP_@}; do
    case $variable in
      *INDEX* | *CERT* | PIP_CONFIG_FILE | PIP_FIND_LINKS | PIP_KEYRING_PROVIDER | PIP_PROXY | PIP_TRUSTED_HOST) ;;
      PIP_CACHE_DIR | PIP_NO_CACHE_DIR | PIP_RETRIES | PIP_*TIMEOUT | PIP_USE_FEATURE | PIP_USE_DEPRECATED) ;;
      *) unset "$variable" ;;
    esac
  done
  # --no-deps, as the lock is whole for what the gate calls.
  "$venv/bin/python" -I -m pip install --quiet --disable-pip-version-check --no-input --no-compile --require-hashes --no-deps \
    --only-binary :all: -r "$lock" || stop "The gate's packages could not be installed; pip's reason stands above. If \
pip reached no package index, name a mirror in pip.conf or PIP_INDEX_URL. If pip names another setting, such as \
constraint, remove it from pip.conf."
  : >"$venv/ready" || true # without it, the next step installs the packages again
fi

# -u: log lines arrive when they are written.
exec "$venv/bin/python" -I -u "$GITHUB_ACTION_PATH/start.py"
