package soak

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/service"
)

// number is a number of the environment.
func number(t testing.TB, name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, name)
	return n
}

func options(t testing.TB) Options {
	county, err := service.ReadRegistry(filepath.Join("..", "..", "..", "configs", "county"))
	require.NoError(t, err)
	dir := t.TempDir()
	if memory, err := os.MkdirTemp("/dev/shm", "soak"); err == nil {
		dir = memory
		t.Cleanup(func() { require.NoError(t, os.RemoveAll(memory)) })
	}
	return Options{County: county, Dir: dir}
}

// Nothing is lost, whatever happens: see the package comment.
func TestSeeds(t *testing.T) {
	opt := options(t)
	if seed := number(t, "YIZHAN_SEED", 0); seed != 0 {
		opt.Seed, opt.Trace = seed, os.Stdout
		r, err := Run(opt)
		fmt.Println(table([]Result{r}))
		require.NoError(t, err)
		return
	}
	first, n := number(t, "YIZHAN_FIRST", 1), number(t, "YIZHAN_SEEDS", share)
	began := time.Now()
	var mu sync.Mutex
	var results []Result
	failed := 0
	next := first
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) { // each seed is one goroutine's
		wg.Go(func() {
			for {
				mu.Lock()
				o := opt
				o.Seed = next
				next++
				enough := o.Seed >= first+n || failed >= 5
				mu.Unlock()
				if enough {
					return
				}
				r, err := Run(o)
				mu.Lock()
				results = append(results, r)
				if err != nil {
					failed++
					t.Errorf("SEED=%d make soak\n%v", o.Seed, err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("\n%s%v", table(results), time.Since(began).Round(time.Millisecond))
}

// A seed is all that decides: its trace, byte for byte.
func TestASeedReplays(t *testing.T) {
	opt := options(t)
	for _, opt.Seed = range []uint64{3, 11, 27, 1001} {
		first, err := Run(opt)
		require.NoError(t, err)
		second, err := Run(opt)
		require.NoError(t, err)
		require.Equal(t, first, second)
	}
}

// table is what many seeds came to.
func table(results []Result) string {
	var sum Result
	rounds := 0
	sum.Faults = map[string]int{}
	for i := range results {
		r := &results[i]
		rounds += r.Rounds
		sum.Lines += r.Lines
		sum.Acked += r.Acked
		sum.Reported += r.Reported
		sum.Thinned += r.Thinned
		sum.Unknowable += r.Unknowable
		sum.Lost += r.Lost
		sum.Doubled += r.Doubled
		sum.Unexplained += r.Unexplained
		for k, n := range r.Faults {
			sum.Faults[k] += n
		}
	}
	var b strings.Builder
	row := func(name string, n int) { fmt.Fprintf(&b, "%-32s %9d\n", name, n) }
	row("seeds", len(results))
	row("rounds", rounds)
	row("steps in the trace", sum.Lines)
	kinds := sortedKeys(sum.Faults)
	slices.Sort(kinds)
	for _, k := range kinds {
		row("  "+k, sum.Faults[k])
	}
	row("readings acknowledged", sum.Acked)
	row("dropped, and reported", sum.Reported)
	row("thinned, and counted", sum.Thinned)
	row("gone with a card, untold", sum.Unknowable)
	row("lost", sum.Lost)
	row("doubled", sum.Doubled)
	row("unexplained", sum.Unexplained)
	return b.String()
}
