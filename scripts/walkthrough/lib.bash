# Shared by the steps of the walk-through: each prints a command, runs it, says what to look at, and checks it. To be sourced.
# shellcheck shell=bash
set -euo pipefail
# A step takes no arguments, and acts: so it does nothing where it is given some. (scale is for two of the steps, which give it five.)
takes=0
[[ ${0##*/} != scale ]] || takes=5
if (($# != takes)); then
	echo "usage: $0, without arguments; docs/walkthrough.md says what it does" >&2
	exit 2
fi
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck source=scripts/lib/cluster.bash
. scripts/lib/cluster.bash
# shellcheck source=/dev/null
. deploy/images.env

export LC_ALL=C
# What a step sees is kept here, so that the next line can count it.
OUT=out/walkthrough
mkdir -p "$OUT"
# kind's, which deploy/kind/cluster.yaml maps to the ingress gateway.
: "${GATEWAY:=http://localhost:30080}"

need_kubectl
# Whatever the current context and namespace are, the commands of a step go to namespace dev of the kind cluster.
config=$(kubectl config view --context "kind-$CLUSTER" --minify --flatten 2>/dev/null) ||
	die "kubectl knows no context kind-$CLUSTER" "make the cluster: scripts/kind-up"
KUBECONFIG=$(mktemp)
export KUBECONFIG
printf '%s\n' "$config" >"$KUBECONFIG"
kubectl config set-context --current --namespace dev >/dev/null
kubectl version >/dev/null 2>&1 || die "no answer from the cluster kind-$CLUSTER" "make it: scripts/kind-up"

# A step that leaves something behind undoes it in a function of this name, which runs at the step's end, however it came to it.
undo() { :; }
trap 'undo || true; rm -f "$KUBECONFIG"' EXIT
# hash_again: the story's overlay as 01 applied it, for steps that put another in its place.
hash_again() {
	say "put deploy/overlays/istio-hash back"
	kubectl apply -k deploy/overlays/istio-hash >/dev/null
}

bold() { if [[ -t 1 ]]; then printf '\033[1m%s\033[0m\n' "$1"; else printf '%s\n' "$1"; fi; }

# title WORDS: what the step is about. The commands below it are complete once these two lines were typed.
title() {
	bold "== $*"
	echo "To type them yourself: kubectl config use-context kind-$CLUSTER; kubectl config set-context --current --namespace dev"
}

# run <<END: prints the commands, then runs them.
run() {
	local commands newline=$'\n'
	commands=$(cat)
	echo
	bold "\$ ${commands//$newline/$newline  }"
	eval "$commands" </dev/null
}

# beside <<END: the same with istioctl, where it is there. The kubectl way came first and is enough.
beside() {
	local commands
	commands=$(cat)
	if command -v istioctl >/dev/null; then
		echo
		echo "The same with istioctl:"
		run <<<"$commands"
	else
		printf '\nThe same with istioctl, which is not on this PATH:\n  %s\n' "$commands"
	fi
}

# need_hash: the step tells of the hash, so it has to be what is applied.
need_hash() {
	[[ $(kubectl get deployment/debug destinationrule/jarvis-consistent-hash -o jsonpath='{.items[*].spec.trafficPolicy.loadBalancer.consistentHash.httpHeaderName}' 2>/dev/null) == x-call-session-id ]] ||
		die "the hash on x-call-session-id and the debug pod are not there" "apply them: scripts/walkthrough/01-apply"
}

# need_curl: for the steps that ask from this machine, with a curl that prints a header's value.
need_curl() {
	local version
	need curl "https://curl.se/download.html"
	version=$(curl --version | awk 'NR == 1 {print $2}')
	! older "$version" 7.84.0 || die "curl is $version, expected 7.84.0 or later, which knows -w '%header{…}'"
}

# look WORDS: what to look at in what was just printed.
look() { printf -- '-> %s\n' "$*"; }

# expect WHAT TEST…: fails the step unless `test TEST…` holds.
expect() {
	local what=$1
	shift
	test "$@" || die "expected: $what" "found: $*"
	echo "ok: $what"
}

# eventually WHAT COMMAND…: waits, a minute at most, until the command succeeds.
eventually() {
	local what=$1 end=$((SECONDS + 60))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || die "waited a minute in vain: $what" "asked with: $*"
		sleep 0.5
	done
	echo "ok: $what"
}

# sidecar_knows N: waits until the debug pod's sidecar sends to N healthy pods behind jarvis-service.
sidecar_knows() {
	eventually "the debug pod's sidecar knows $1 pods" sidecar_lists "$1"
	sleep 2 # its rings may be a moment behind the list that its admin port shows
}
sidecar_lists() {
	[[ $(kubectl exec deploy/debug -c istio-proxy -- pilot-agent request GET clusters |
		grep -c '^outbound|80||jarvis-service\..*::health_flags::healthy') == "$1" ]]
}

# next STEP: what to type next.
next() { printf '\nNext: scripts/walkthrough/%s\n' "$1"; }
