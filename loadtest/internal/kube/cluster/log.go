package cluster

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// tailLines is how much of a log is worth an error message.
const tailLines = "10"

// Tail is the end of a container's log.
func (c *Client) Tail(ctx context.Context, namespace, pod, container string) (string, error) {
	config := rest.CopyConfig(c.REST)
	config.GroupVersion = &corev1.SchemeGroupVersion
	config.APIPath = "/api"
	config.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	api, err := rest.RESTClientFor(config)
	if err != nil {
		return "", fmt.Errorf("read a log: %w", err)
	}
	raw, err := api.Get().Namespace(namespace).Resource("pods").Name(pod).SubResource("log").
		Param("container", container).Param("tailLines", tailLines).Do(ctx).Raw()
	return strings.TrimSpace(string(raw)), explain("read the log of pod "+namespace+"/"+pod, err)
}
