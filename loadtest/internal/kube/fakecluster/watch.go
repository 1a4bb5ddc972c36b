package fakecluster

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/watch"
	clienttesting "k8s.io/client-go/testing"
)

// onWatch tells of changes a little later, as an API server does: who makes a change sees the state of before it for a while.
func (c *Cluster) onWatch(action clienttesting.Action) (bool, watch.Interface, error) {
	a := action.(clienttesting.WatchActionImpl)
	w, err := c.client.Tracker().Watch(a.GetResource(), a.GetNamespace(), a.ListOptions)
	if err != nil {
		return true, nil, err
	}
	l := &late{from: w, events: make(chan watch.Event), stopped: make(chan struct{})}
	c.servers.Go(l.run)
	return true, l, nil
}

// late passes events on after Late.
type late struct {
	from    watch.Interface
	events  chan watch.Event
	once    sync.Once
	stopped chan struct{}
}

func (l *late) ResultChan() <-chan watch.Event { return l.events }

func (l *late) Stop() {
	l.once.Do(func() { close(l.stopped) })
	l.from.Stop()
}

func (l *late) run() {
	defer close(l.events)
	for e := range l.from.ResultChan() {
		timer := time.NewTimer(Late)
		select {
		case <-timer.C:
		case <-l.stopped:
			timer.Stop()
			return
		}
		select {
		case l.events <- e:
		case <-l.stopped:
			return
		}
	}
}
