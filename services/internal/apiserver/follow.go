package apiserver

import (
	"context"

	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// Follow hands all objects there are to push, first and after each change, until ctx ends. A watch that breaks is resumed, with a back-off,
// and one that has expired starts anew; the name is what ctx's logger knows them by.
func Follow[T any](ctx context.Context, lists cache.ListerWatcher, name string, push func([]*T)) {
	logger := klog.FromContext(ctx)
	store := cache.NewUndeltaStore(func(objects []any) {
		list := make([]*T, 0, len(objects))
		for _, o := range objects {
			if object, ok := o.(*T); ok {
				list = append(list, object)
			}
		}
		push(list)
	}, cache.MetaNamespaceKeyFunc)
	cache.NewReflectorWithOptions(lists, new(T), store, cache.ReflectorOptions{Name: name, Logger: &logger}).RunWithContext(ctx)
}
