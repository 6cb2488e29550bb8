package hw

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// A Level names a set of instructions that kernels may use. Levels of one
// architecture are ordered: a stronger level has all that a weaker one has.
// Results of two levels differ in rounding.
type Level uint8

const (
	Portable Level = iota // plain Go, on every machine
	NEON                  // arm64 Advanced SIMD
	AVX2                  // amd64 AVX2 with FMA and F16C
	AVX512                // amd64 AVX-512 F, BW, VL, DQ
	AMX                   // AVX-512 with bfloat16, and the bfloat16 and int8 tiles of Intel's processors since Sapphire Rapids
)

var levelNames = [...]string{"portable", "neon", "avx2", "avx512", "amx"}

// String gives the name that SUBQUAD_HW and ParseLevel understand.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return fmt.Sprintf("hw.Level(%d)", uint8(l))
}

// Has reports whether a machine at level l can run the instructions of level m.
func (l Level) Has(m Level) bool {
	return m == Portable || l == m || (l >= AVX2 && m >= AVX2 && l >= m)
}

// ParseLevel is the inverse of String.
func ParseLevel(name string) (Level, error) {
	if i := slices.Index(levelNames[:], strings.ToLower(name)); i >= 0 {
		return Level(i), nil
	}
	return Portable, fmt.Errorf("hw: unknown level %q, want one of %s", name, strings.Join(levelNames[:], ", "))
}

var state struct {
	sync.Mutex
	current Level
	levels  []Level // does not change after init
	why     string
	hooks   []func(Level)
	err     error
}

// Env is the environment variable that caps the level. It is read at start, where
// Go's test cache does not see it: use it with go test -count=1.
const Env = "SUBQUAD_HW"

func init() {
	limit, set := AMX, os.Getenv(Env)
	if set != "" {
		l, err := ParseLevel(set)
		if err == nil {
			limit = l
		} else {
			state.err = fmt.Errorf("%s: %w", Env, err)
		}
	}
	state.levels, state.why = detect(limit)
	// The strongest level; and when a variable caps it, one that the machine
	// lacks leaves the best one below it.
	for _, have := range state.levels {
		if set == "" || state.err != nil || limit.Has(have) {
			state.current = have
		}
	}
	if state.err != nil {
		fmt.Fprintf(os.Stderr, "subquad: %v; using %s\n", state.err, state.current)
	}
}

// WhyNot says why no level above the last of Levels can be used: what the
// processor, the system or the build lacks. It is empty when there is none.
func WhyNot() string { return state.why }

// Err reports what was wrong with SUBQUAD_HW, if anything. An unknown value is
// also printed once to standard error and otherwise changes nothing.
func Err() error { return state.err }

// Current is the level that kernels use now. It takes a lock: kernels use OnLevel.
func Current() Level {
	state.Lock()
	defer state.Unlock()
	return state.current
}

// Levels lists what this machine can run, weakest first; it starts with Portable.
// The cap of SUBQUAD_HW leaves out nothing but amx, for which the system would
// have to be asked.
func Levels() []Level { return slices.Clone(state.levels) }

// Set chooses the level for the whole program; one that Levels does not list is
// an error and changes nothing. It is meant for start-up, tests and benchmarks:
// it must not run while another goroutine computes. Scopes, states and weights
// made before remain good.
func Set(l Level) error {
	if !slices.Contains(state.levels, l) {
		return fmt.Errorf("hw: this machine cannot run level %s, it has %v", l, state.levels)
	}
	state.Lock()
	defer state.Unlock()
	state.current = l
	for _, f := range state.hooks {
		f(l)
	}
	return nil
}

// OnLevel calls f with the current level, and again whenever Set changes it.
// A kernel package uses it once, in init, to fill its dispatch booleans:
// branching on a bool keeps the arguments of assembly on the stack, which a
// function variable would not. f runs with the package locked: it must not call
// Current, Set or OnLevel.
func OnLevel(f func(Level)) {
	state.Lock()
	defer state.Unlock()
	state.hooks = append(state.hooks, f)
	f(state.current)
}
