package manifests_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"istio.io/api/annotation"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	schemakind "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// schemas checks objects as an API server would that has Istio's definitions: no unknown field, and valid by the definition's schema
// and rules.
type schemas struct {
	builtin runtime.Decoder
	istio   map[schemakind.GroupVersionKind]definition
}

type definition struct {
	structural *schema.Structural
	validator  validation.SchemaValidator
	rules      *cel.Validator
}

// known is what newSchemas returned first: reading Istio's definitions takes seconds.
var known *schemas

func newSchemas(t *testing.T) schemas {
	t.Helper()
	if known != nil {
		return *known
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme, rbacv1.AddToScheme, networkingv1.AddToScheme,
	} {
		require.NoError(t, add(scheme))
	}
	s := schemas{
		builtin: serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer(),
		istio:   map[schemakind.GroupVersionKind]definition{},
	}
	for document := range strings.SplitSeq(string(istioDefinitions(t)), "\n---\n") {
		var external apiextensionsv1.CustomResourceDefinition
		require.NoError(t, yaml.Unmarshal([]byte(document), &external))
		for _, version := range external.Spec.Versions {
			var internal apiextensions.JSONSchemaProps
			require.NoError(t, apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(
				version.Schema.OpenAPIV3Schema, &internal, nil))
			structural, err := schema.NewStructural(&internal)
			require.NoError(t, err)
			validator, _, err := validation.NewSchemaValidator(&internal)
			require.NoError(t, err)
			kind := schemakind.GroupVersionKind{Group: external.Spec.Group, Version: version.Name, Kind: external.Spec.Names.Kind}
			s.istio[kind] = definition{structural, validator, cel.NewValidator(structural, true, celconfig.PerCallLimit)}
		}
	}
	known = &s
	return s
}

// istioDefinitions are in Istio's API module, which this one requires, so reading them needs no network.
func istioDefinitions(t *testing.T) []byte {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "istio.io/api").Output()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "kubernetes", "customresourcedefinitions.gen.yaml"))
	require.NoError(t, err)
	return text
}

func (s schemas) check(ctx context.Context, object *unstructured.Unstructured, text []byte) error {
	kind := object.GroupVersionKind()
	if strings.HasSuffix(kind.Group, ".istio.io") {
		d, ok := s.istio[kind]
		if !ok {
			return fmt.Errorf("Istio has no %s", kind)
		}
		return d.check(ctx, object)
	}
	_, _, err := s.builtin.Decode(text, nil, nil)
	return err
}

func (d definition) check(ctx context.Context, object *unstructured.Unstructured) error {
	var errs []error
	unknown := pruning.PruneWithOptions(object.DeepCopy().Object, d.structural, true,
		schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	if len(unknown) > 0 {
		errs = append(errs, fmt.Errorf("unknown fields %v", unknown))
	}
	for _, err := range validation.ValidateCustomResource(nil, object.Object, d.validator) {
		errs = append(errs, err)
	}
	broken, _ := d.rules.Validate(ctx, nil, d.structural, object.Object, nil, celconfig.RuntimeCELCostBudget)
	for _, err := range broken {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// misfits are objects that the schemas refuse; what one rendering was told is not asked again for the next.
func (s schemas) misfits() checker {
	passed := map[string]bool{}
	return func(t *testing.T, built objects) (wrong []string) {
		for _, object := range built {
			text := toJSON(t, object)
			if passed[string(text)] {
				continue
			}
			if err := s.check(t.Context(), object, text); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s %s: %v", object.GetKind(), object.GetName(), err))
			}
			passed[string(text)] = true
		}
		return wrong
	}
}

func TestSchemasRefuse(t *testing.T) {
	s := newSchemas(t)
	built := with(t, "istio-hash")
	for name, c := range map[string]struct {
		kind, object string
		change       func(map[string]any)
		want         string
	}{
		"a field that Kubernetes does not know": {"Deployment", "jarvis", set(t, int64(3), "spec", "replica"), `unknown field "spec.replica"`},
		"a type that Kubernetes does not take":  {"Deployment", "jarvis", set(t, "three", "spec", "replicas"), "int32"},
		"a field that Istio does not know":      {"DestinationRule", "jarvis-consistent-hash", set(t, "h", "spec", "hots"), "spec.hots"},
		"a value out of Istio's list": {"DestinationRule", "jarvis-consistent-hash",
			set(t, "SOMEHOW", "spec", "trafficPolicy", "connectionPool", "http", "h2UpgradePolicy"), "Unsupported value"},
		"two of which Istio takes one": {"DestinationRule", "jarvis-consistent-hash",
			set(t, "LEAST_REQUEST", "spec", "trafficPolicy", "loadBalancer", "simple"), "oneOf"},
		"a duration that Istio's rule refuses": {"DestinationRule", "jarvis-consistent-hash",
			set(t, "0.1ms", "spec", "trafficPolicy", "outlierDetection", "interval"), "must be a valid duration greater than 1ms"},
		"a kind that Istio does not have": {"DestinationRule", "jarvis-consistent-hash", set(t, "DestinationRules", "kind"), "Istio has no"},
	} {
		t.Run(name, func(t *testing.T) {
			doctored := edited(t, built.named(t, c.kind, c.object), c.change)
			require.ErrorContains(t, s.check(t.Context(), doctored, toJSON(t, doctored)), c.want)
		})
	}
}

// strangeAnnotations claim to be Istio's, which has none of that name.
func strangeAnnotations(t *testing.T, built objects) (wrong []string) {
	known := map[string]bool{}
	for _, a := range annotation.AllResourceAnnotations() {
		known[a.Name] = true
	}
	for _, d := range typedAll[appsv1.Deployment](t, built.ofKind("Deployment")) {
		for name := range d.Spec.Template.Annotations {
			if strings.Contains(name, "istio.io/") && !known[name] {
				wrong = append(wrong, d.Name+": "+name)
			}
		}
	}
	return wrong
}
