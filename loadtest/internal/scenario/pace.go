package scenario

import "time"

// Pace is how long a place where fleets run takes for what scenarios do to them. It decides how long scenarios last there, so it is
// rather too long than too short; nothing is measured with it.
type Pace struct {
	// Overhead is how long a fleet takes to come up and go, for estimates only.
	Overhead time.Duration
	// Join is how long one more pod takes until it has its share of the sessions; pods that come together share the machine, so it is
	// counted for each.
	Join time.Duration
	// Leave is how long pods that leave together take, their grace included.
	Leave time.Duration
	// Replace is how long a rollout takes for each pod.
	Replace time.Duration
	// Recover is how long a pod that was killed takes until it serves again.
	Recover time.Duration
	// Redis is how long Redis takes to end, or to be up again.
	Redis time.Duration
}

// Local is the pace of bin/fleet, measured: three pods are ready in under two seconds and end in under one; a scale-in ends pods after
// a grace of 5 s, and a rollout takes each pod in turn.
func Local() Pace {
	return Pace{Overhead: 4 * time.Second, Leave: 5 * time.Second, Replace: 4 * time.Second}
}

// Compose is the pace of a docker compose project.
func Compose() Pace {
	return Pace{
		Overhead: 15 * time.Second, Join: 2 * time.Second, Leave: 10 * time.Second, Replace: 10 * time.Second, Recover: 5 * time.Second,
		Redis: 4 * time.Second,
	}
}

// Kubernetes is the pace of a kind cluster on two CPUs with a sidecar in each pod, measured: a fleet of three is up in 35 s and gone in
// 5 s; a killed container is back in 3 to 5 s, and a pod that stops takes 7 to 19 s, as long as its calls do.
func Kubernetes() Pace {
	return Pace{
		Overhead: 45 * time.Second, Join: 6 * time.Second, Leave: 25 * time.Second, Replace: 15 * time.Second, Recover: 8 * time.Second,
		Redis: 12 * time.Second,
	}
}

// dropSeen is how long a scenario lasts beyond the last moment at which it can cost a call its media, so that a call that does not come
// back is seen without media for ten seconds, and counts as dropped (dropped_no_media).
const dropSeen = 12 * time.Second

// after is how long an event goes on in a fleet of pods before it.
func (p Pace) after(e Event, pods int) time.Duration {
	switch e.Kind {
	case KindScale:
		if e.Pods < pods {
			return p.Leave
		}
		return p.Join * time.Duration(e.Pods-pods)
	case KindKill, KindFreeze, KindSmaran: // a frozen pod is found out, as a dead one is back
		return p.Recover
	case KindStop:
		return p.Leave + p.Join
	case KindRollout:
		return p.Replace * time.Duration(pods)
	case KindRedis:
		return p.Redis
	default:
		return 0
	}
}

// lasting gives a scenario its duration: one event begins at its offset, or when the one before is over.
func (p Pace) lasting(s Scenario) Scenario {
	var end time.Duration
	pods := s.Pods
	for _, e := range s.Events {
		end = max(end, e.At) + p.after(e, pods)
		if e.Kind == KindScale {
			pods = e.Pods
		}
	}
	s.Duration, s.Overhead = end+dropSeen, p.Overhead
	return s
}
