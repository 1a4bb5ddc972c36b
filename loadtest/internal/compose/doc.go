// Package compose runs fleets as docker compose projects: the repository's docker-compose.yaml, with a real Envoy and a real Redis,
// one service a pod. It implements driver.Driver.
//
// It drives the engine by the command that people type, docker, so that what it does can be repeated by hand. What the project holds
// (services, addresses, ports) it reads from the file through `docker compose config`, and which pods are in rotation from Envoy. It
// builds no image and measures nothing.
package compose
