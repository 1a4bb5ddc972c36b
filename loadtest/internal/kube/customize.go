package kube

import (
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
)

// customize makes of an overlay what a run needs: its pods, its session mode, how long a drain may take, and a seed for smaran. The
// simulated model has no seed: pods of one template would all draw the same.
func customize(objects []*unstructured.Unstructured, s driver.Spec) error {
	mode := s.SessionMode()
	d, err := deployment(objects, Jarvis)
	if err != nil {
		return err
	}
	if err := unstructured.SetNestedField(d.Object, int64(s.Pods), "spec", "replicas"); err != nil {
		return fmt.Errorf("%w: %w", ErrOverlay, err)
	}
	if err := setVariable(d, Jarvis, jarvisMode, string(mode)); err != nil {
		return err
	}
	if err := setVariable(d, Jarvis, jarvisDrain, s.DrainTime().String()); err != nil {
		return err
	}
	if s.HandsOver() && s.SessionStore != "" {
		if err := setVariable(d, Jarvis, jarvisStore, s.SessionStore); err != nil {
			return err
		}
	}
	d, err = deployment(objects, Smaran)
	if err != nil {
		return err
	}
	if err := setVariable(d, smaranContainer, smaranMode, string(mode)); err != nil {
		return err
	}
	return setVariable(d, smaranContainer, smaranSeed, strconv.FormatUint(s.Seed, 10))
}

func deployment(objects []*unstructured.Unstructured, name string) (*unstructured.Unstructured, error) {
	for _, o := range objects {
		if o.GetKind() == "Deployment" && o.GetName() == name {
			return o, nil
		}
	}
	return nil, fmt.Errorf("%w: it has no Deployment %s", ErrOverlay, name)
}

// setVariable sets one in a container's environment, in place of what it was.
func setVariable(d *unstructured.Unstructured, container, name, value string) error {
	containers, index, err := containersOf(d, container)
	if err != nil {
		return err
	}
	c := containers[index].(map[string]any)
	env, _ := c["env"].([]any)
	env = slices.DeleteFunc(env, func(e any) bool {
		v, ok := e.(map[string]any)
		return ok && v["name"] == name
	})
	c["env"] = append(env, map[string]any{"name": name, "value": value})
	return unstructured.SetNestedSlice(d.Object, containers, "spec", "template", "spec", "containers")
}

// variable is one of a container's environment, "" where it is not set there.
func variable(d *unstructured.Unstructured, container, name string) (string, error) {
	containers, index, err := containersOf(d, container)
	if err != nil {
		return "", err
	}
	env, _ := containers[index].(map[string]any)["env"].([]any)
	for _, e := range env {
		if v, ok := e.(map[string]any); ok && v["name"] == name {
			value, _ := v["value"].(string)
			return value, nil
		}
	}
	return "", nil
}

func containersOf(d *unstructured.Unstructured, name string) (containers []any, index int, err error) {
	containers, _, err = unstructured.NestedSlice(d.Object, "spec", "template", "spec", "containers")
	if err != nil {
		return nil, 0, fmt.Errorf("%w: Deployment %s: %w", ErrOverlay, d.GetName(), err)
	}
	index = slices.IndexFunc(containers, func(c any) bool {
		m, ok := c.(map[string]any)
		return ok && m["name"] == name
	})
	if index < 0 {
		return nil, 0, fmt.Errorf("%w: Deployment %s has no container %s", ErrOverlay, d.GetName(), name)
	}
	return containers, index, nil
}
