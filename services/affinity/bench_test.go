package affinity_test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/smaran-v2/smaran/services/affinity"
)

// Ring sizes that the speed of the ring is stated for, each with its hosts.
var ringSizes = []struct {
	hosts int
	size  uint64
}{{10, 1024}, {100, 100_000}}

// BenchmarkRingPick compares hashing a session and picking its host with XXH64 of the session alone. The two take turns
// within the run, so that what else the machine does slows both: "x/XXH64" is the median ratio of the turns,
// ns/op is a pick with its hash, ns/XXH64 the hash alone. Every session is new, so that neither the branches nor the
// entries of the last turn help the next.
func BenchmarkRingPick(b *testing.B) {
	const turn = 4096
	for _, size := range ringSizes {
		ring, err := affinity.NewRing(hosts4(size.hosts), affinity.Options{MinRingSize: size.size})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("hosts=%d/ring=%d", size.hosts, size.size), func(b *testing.B) {
			b.ReportAllocs()
			var hashed, picked time.Duration
			ratios := make([]float64, 0, 1<<16)
			session := []byte("019a4c3e-7b1d-7c2f-9e7a-3f60c1d2ab48") // as long as those that smaran mints
			hashes, hosts := uint64(0), 0
			for b.Loop() {
				start := time.Now()
				for i := range uint64(turn) {
					binary.LittleEndian.PutUint64(session, uint64(len(ratios))<<32+i)
					hashes += xxhash.Sum64(session)
				}
				middle := time.Now()
				for i := range uint64(turn) {
					binary.LittleEndian.PutUint64(session, uint64(len(ratios))<<32+i)
					hosts += ring.Pick(xxhash.Sum64(session), 0)
				}
				end := time.Now()
				hashed += middle.Sub(start)
				picked += end.Sub(middle)
				ratios = append(ratios, float64(end.Sub(middle))/float64(middle.Sub(start)))
			}
			sink = int(hashes) + hosts
			n := float64(len(ratios) * turn)
			b.ReportMetric(float64(picked)/n, "ns/op")
			b.ReportMetric(float64(hashed)/n, "ns/XXH64")
			b.ReportMetric(median(ratios), "x/XXH64")
		})
	}
}

// BenchmarkRingRebuild compares building a ring with appending and sorting in the plain way. They take turns within the
// run: "x/sort.Slice" and "x/slices.SortFunc" are the median ratios of the turns, ns/op is NewRing.
func BenchmarkRingRebuild(b *testing.B) {
	for _, size := range ringSizes {
		b.Run(fmt.Sprintf("hosts=%d/ring=%d", size.hosts, size.size), func(b *testing.B) {
			hosts := hosts4(size.hosts)
			o := affinity.Options{MinRingSize: size.size}
			var rebuilt time.Duration
			var reflective, generic []float64
			for b.Loop() {
				start := time.Now()
				sink = len(plainRing(hosts, size.size))
				plain := time.Now()
				sink = len(plainRingGeneric(hosts, size.size))
				sorted := time.Now()
				ring, err := affinity.NewRing(hosts, o)
				if err != nil {
					b.Fatal(err)
				}
				end := time.Now()
				sink = ring.Size()
				rebuilt += end.Sub(sorted)
				reflective = append(reflective, float64(end.Sub(sorted))/float64(plain.Sub(start)))
				generic = append(generic, float64(end.Sub(sorted))/float64(sorted.Sub(plain)))
			}
			b.ReportMetric(float64(rebuilt)/float64(b.N), "ns/op")
			b.ReportMetric(median(reflective), "x/sort.Slice")
			b.ReportMetric(median(generic), "x/slices.SortFunc")
		})
	}
}

// BenchmarkPick shows how the cost of a pick grows with the hosts, for every policy.
func BenchmarkPick(b *testing.B) {
	for _, p := range affinity.Policies() {
		for _, n := range []int{3, 10, 30, 100} {
			picker, err := affinity.New(p, hosts4(n), affinity.Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("%s/hosts=%d", p, n), func(b *testing.B) {
				b.ReportAllocs()
				h, sum := uint64(0), 0
				for b.Loop() {
					h += 0x9e3779b97f4a7c15
					sum += picker.Pick(h, 0)
				}
				sink = sum
			})
		}
	}
}

// sink keeps the compiler from dropping what a benchmark computes.
var sink int

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

type plainEntry struct {
	hash uint64
	host int
}

func plainRing(hosts []affinity.Host, size uint64) []plainEntry {
	ring := plainEntries(hosts, size)
	sort.Slice(ring, func(i, j int) bool { return ring[i].hash < ring[j].hash })
	return ring
}

func plainRingGeneric(hosts []affinity.Host, size uint64) []plainEntry {
	ring := plainEntries(hosts, size)
	slices.SortFunc(ring, func(a, b plainEntry) int { return cmp.Compare(a.hash, b.hash) })
	return ring
}

func plainEntries(hosts []affinity.Host, size uint64) []plainEntry {
	each := (int(size) + len(hosts) - 1) / len(hosts)
	ring := make([]plainEntry, 0, each*len(hosts))
	for h, host := range hosts {
		for i := range each {
			ring = append(ring, plainEntry{hash: xxhash.Sum64String(host.Key() + "_" + strconv.Itoa(i)), host: h})
		}
	}
	return ring
}
