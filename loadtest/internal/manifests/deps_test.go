package manifests_test

import (
	_ "istio.io/api/annotation"
	_ "istio.io/api/label"
	_ "k8s.io/api/apps/v1"
	_ "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	_ "k8s.io/pod-security-admission/policy"
)
