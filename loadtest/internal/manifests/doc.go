// Package manifests renders what deploy/ holds into objects that can be applied. It is the kustomize that kubectl has built in, as a
// library, so that rendering needs no program and no cluster. It applies nothing.
package manifests
