package cost

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// ErrAssumption is returned for an assumption that can't be: what costs less than nothing, or an hour count that no month has.
var ErrAssumption = errors.New("cost: not an assumption")

// Assumptions are the inputs. Money is US$, memory GiB; what is requested is paid for, used or not. The text of each flag says where its
// default is from.
type Assumptions struct {
	Redis      float64 `name:"redis-usd" default:"300" help:"A managed Redis, US$ a month (the story's figure)."`
	Pods       int     `default:"10" help:"jarvis' pods (the story scales to as many)."`
	Replicas   int     `name:"smaran-replicas" default:"2" help:"smaran's replicas (two, so that one may go)."`
	SmaranCPU  float64 `name:"smaran-cpu" default:"0.05" help:"Cores requested by a smaran (deploy/base)."`
	SmaranGiB  float64 `name:"smaran-gib" default:"0.0625" help:"GiB requested by a smaran (deploy/base)."`
	SidecarCPU float64 `name:"sidecar-cpu" default:"0.1" help:"Cores requested by a sidecar (Istio's default)."`
	SidecarGiB float64 `name:"sidecar-gib" default:"0.125" help:"GiB requested by a sidecar (Istio's default)."`
	IstiodCPU  float64 `name:"istiod-cpu" default:"0.5" help:"Cores requested by istiod (Istio's default)."`
	IstiodGiB  float64 `name:"istiod-gib" default:"2" help:"GiB requested by istiod (Istio's default)."`
	CoreHour   float64 `name:"core-hour-usd" default:"0.03" help:"US$ for a core and hour (a round figure; put in your cloud's)."`
	GiBHour    float64 `name:"gib-hour-usd" default:"0.004" help:"US$ for a GiB and hour (a round figure; put in your cloud's)."`
	Hours      float64 `name:"hours" default:"730" help:"Hours in a month (8760 by 12)."`
}

// longestMonth is how many hours there are in one of 31 days.
const longestMonth = 744

// most bounds every assumption: beyond, sums are no prices any more.
const most = 1e9

// Validate fails with ErrAssumption. kong calls it once the flags are parsed.
func (a Assumptions) Validate() error {
	for _, f := range a.fields() {
		if !(f.value >= 0 && f.value <= most) { // NaN is not
			return fmt.Errorf("%w: --%s=%g: expected 0 to %g", ErrAssumption, f.flag, f.value, float64(most))
		}
	}
	if !(a.Hours > 0 && a.Hours <= longestMonth) {
		return fmt.Errorf("%w: --hours=%g: expected above 0 and up to %d", ErrAssumption, a.Hours, longestMonth)
	}
	return nil
}

// Args are the flags that give these assumptions, all of them, as a default may change. prefix begins their names, such as "price-".
func (a Assumptions) Args(prefix string) (args []string) {
	for _, f := range a.fields() {
		args = append(args, "--"+prefix+f.flag, strconv.FormatFloat(f.value, 'f', -1, 64))
	}
	return args
}

// field is one assumption, as a flag says it.
type field struct {
	flag, help string
	value      float64
}

func (a Assumptions) fields() (out []field) {
	values := reflect.ValueOf(a)
	for i := range values.NumField() {
		of := values.Type().Field(i)
		f := field{flag: of.Tag.Get("name"), help: of.Tag.Get("help")}
		if f.flag == "" {
			f.flag = strings.ToLower(of.Name)
		}
		if values.Field(i).CanInt() {
			f.value = float64(values.Field(i).Int())
		} else {
			f.value = values.Field(i).Float()
		}
		out = append(out, f)
	}
	return out
}
