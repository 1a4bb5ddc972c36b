# For the scripts that work on the kind cluster: what is checked before anything is changed. To be sourced from scripts/.
# shellcheck shell=bash

# The cluster's name, for kind; kubectl calls its context kind-NAME.
CLUSTER=${KIND_CLUSTER:-smaran}

say() { printf '==> %s\n' "$*" >&2; }

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	shift
	(($# == 0)) || printf '  %s\n' "$@" >&2
	exit 1
}

# need PROGRAM HOW-TO-GET-IT
need() { command -v "$1" >/dev/null || die "$1 is not on PATH" "get it: $2"; }

need_docker() {
	need docker "https://docs.docker.com/engine/install"
	docker info >/dev/null 2>&1 || die "the Docker engine does not answer" "start it, and see that this works: docker info"
}

# How to get each; deploy/kind/versions.env has the versions.
get_kind() { echo "go install sigs.k8s.io/kind@$KIND_VERSION, and put \$(go env GOPATH)/bin on PATH"; }
get_kubectl() { echo "https://kubernetes.io/docs/tasks/tools"; }
get_istioctl() { echo "curl -L https://istio.io/downloadIstio | ISTIO_VERSION=$ISTIO_VERSION sh -, and put istio-$ISTIO_VERSION/bin on PATH"; }

kind_version() { kind version | awk '{print $2}'; }
need_kind() {
	local version
	need kind "$(get_kind)"
	version=$(kind_version)
	! older "$version" "$KIND_OLDEST" || die "kind is $version, expected $KIND_OLDEST or later" "get it: $(get_kind)"
}
need_kubectl() { need kubectl "$(get_kubectl)"; }
need_istioctl() { need istioctl "$(get_istioctl)"; }

# older A B: whether version A comes before B. A leading v does not count.
older() {
	local a=${1#v} b=${2#v}
	[[ $a != "$b" && $(printf '%s\n%s\n' "$a" "$b" | sort -V | head -n 1) == "$a" ]]
}

# grep reads to the end: with -q it would leave, and kind's next line fail the pipe.
cluster_exists() { kind get clusters 2>/dev/null | grep -x "$CLUSTER" >/dev/null; }
