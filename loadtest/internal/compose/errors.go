package compose

import "errors"

// Errors of the driver; they come wrapped with what happened and what to type next.
var (
	// ErrNoDocker is returned where there is no docker program, no compose plugin, or no engine behind them.
	ErrNoDocker = errors.New("docker compose can't be used")
	// ErrRunning is returned for a project that exists already: it is somebody's, and is left alone. Services that observe fleets are none.
	ErrRunning = errors.New("the compose project is running already")
	// ErrTaken is returned where no ports, addresses or network for the project are free.
	ErrTaken = errors.New("no free place for the compose project")
	// ErrFile is returned for a compose file that does not hold what the driver steers.
	ErrFile = errors.New("unexpected compose file")
	// ErrCommand is returned for a docker command that failed, with its last words.
	ErrCommand = errors.New("docker failed")
	// ErrEnvoy is returned where Envoy does not answer, or not as expected.
	ErrEnvoy = errors.New("the project's envoy")
	// ErrPod is returned for an event that names a pod that is not there, or asks for more pods than the file has.
	ErrPod = errors.New("no such pod")
	// ErrSlow is returned for a change that Envoy did not see completed in time.
	ErrSlow = errors.New("the fleet did not get there in time")
)
