package hw

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A Feature is an instruction-set extension that kernels may use, named as
// Linux names it in /proc/cpuinfo.
type Feature string

const (
	FeatureAVX2       Feature = "avx2"
	FeatureFMA        Feature = "fma"
	FeatureF16C       Feature = "f16c"
	FeatureBMI2       Feature = "bmi2"
	FeatureAVXVNNI    Feature = "avx_vnni"
	FeatureAVX512F    Feature = "avx512f"
	FeatureAVX512BW   Feature = "avx512bw"
	FeatureAVX512VL   Feature = "avx512vl"
	FeatureAVX512DQ   Feature = "avx512dq"
	FeatureAVX512BF16 Feature = "avx512_bf16"
	FeatureAVX512VNNI Feature = "avx512_vnni"
	FeatureAVX512FP16 Feature = "avx512_fp16"
	FeatureAMXTile    Feature = "amx_tile"
	FeatureAMXBF16    Feature = "amx_bf16"
	FeatureAMXInt8    Feature = "amx_int8"

	FeatureASIMD   Feature = "asimd"   // arm64: NEON
	FeatureDotProd Feature = "asimddp" // arm64: SDOT, UDOT
	FeatureFP16    Feature = "asimdhp" // arm64: half-precision arithmetic
	FeatureBF16    Feature = "bf16"    // arm64: BFDOT, BFMMLA
	FeatureI8MM    Feature = "i8mm"    // arm64: SMMLA
	FeatureSVE     Feature = "sve"
	FeatureSVE2    Feature = "sve2"
)

// A Machine describes the processor. What could not be found out is zero or empty.
type Machine struct {
	Brand    string
	Vendor   string
	Cores    int       // physical cores
	Threads  int       // logical processors that this process may use
	L1d      int       // bytes of level-1 data cache of a core
	L2       int       // bytes of level-2 cache
	L3       int       // bytes of level-3 cache
	Line     int       // bytes of a cache line
	Features []Feature // those that this package names
}

// Info describes the processor that the program runs on: what CPUID says, and
// on Linux /sys where it says nothing. The first call asks, the others copy.
func Info() Machine {
	m := machine()
	m.Features = slices.Clone(m.Features)
	return m
}

var machine = sync.OnceValue(func() Machine {
	m := probe()
	if m.Threads <= 0 || m.Threads > runtime.NumCPU() {
		m.Threads = runtime.NumCPU()
	}
	// CPUID counts the host's cores where a virtual machine has a few of them.
	m.Cores = min(max(m.Cores, 0), m.Threads)
	for _, c := range []*int{&m.L1d, &m.L2, &m.L3} {
		*c = max(*c, 0) // unknown is -1 for cpuid
	}
	if m.L1d == 0 {
		m.linuxCaches("/sys/devices/system/cpu/cpu0/cache")
	}
	return m
})

// linuxCaches reads what Linux knows of the caches, for processors that do not
// tell a program themselves.
func (m *Machine) linuxCaches(dir string) {
	dirs, _ := filepath.Glob(filepath.Join(dir, "index*"))
	for _, d := range dirs {
		read := func(name string) string {
			b, _ := os.ReadFile(filepath.Join(d, name))
			return strings.TrimSpace(string(b))
		}
		kb, err := strconv.Atoi(strings.TrimSuffix(read("size"), "K"))
		if err != nil || read("type") == "Instruction" {
			continue
		}
		switch read("level") {
		case "1":
			m.L1d = kb << 10
		case "2":
			m.L2 = kb << 10
		case "3":
			m.L3 = kb << 10
		}
	}
}

// Features lists the extensions that the processor has, whatever the level in use.
func Features() []Feature { return Info().Features }

// Supports reports whether the processor has all of these extensions. Kernels
// ask for the level first, so that Set and SUBQUAD_HW still choose:
// l.Has(hw.NEON) && hw.Supports(hw.FeatureDotProd).
func Supports(want ...Feature) bool {
	have := machine().Features
	return !slices.ContainsFunc(want, func(f Feature) bool { return !slices.Contains(have, f) })
}

// lacking lists those of want that the processor does not have.
func lacking(want ...Feature) string {
	var no []string
	for _, f := range want {
		if !Supports(f) {
			no = append(no, string(f))
		}
	}
	if no == nil {
		return ""
	}
	return "the processor has no " + strings.Join(no, ", ")
}
