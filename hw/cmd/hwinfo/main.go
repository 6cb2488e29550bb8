// Command hwinfo prints what subquad finds on this machine, which instruction
// level its kernels use, and why not a stronger one.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/subquad/subquad/hw"
)

const usage = `hwinfo prints the processor, the instruction levels that subquad can use on
it, the one in use, and why there is no stronger one.

usage: hwinfo [-h]

The environment variable %s caps the level: %s.
A build with -tags purego has the portable level alone.
`

func main() {
	flag.Usage = func() {
		var names []string
		for l := hw.Portable; l <= hw.AMX; l++ {
			names = append(names, l.String())
		}
		fmt.Fprintf(flag.CommandLine.Output(), usage, hw.Env, strings.Join(names, ", "))
	}
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "hwinfo: unexpected argument %q; see hwinfo -h\n", flag.Arg(0))
		os.Exit(2)
	}
	report(os.Stdout)
}

func report(w io.Writer) {
	line := func(name, format string, a ...any) {
		fmt.Fprintf(w, "%-10s "+format+"\n", append([]any{name}, a...)...)
	}
	m := hw.Info()
	brand := m.Brand
	if brand == "" {
		brand = "unknown"
	}
	if m.Vendor != "" && !strings.Contains(brand, m.Vendor) {
		brand += " (" + m.Vendor + ")"
	}
	line("processor", "%s, %s/%s", brand, runtime.GOOS, runtime.GOARCH)
	line("cores", "%s physical, %d logical, GOMAXPROCS %d", orUnknown(m.Cores), m.Threads, runtime.GOMAXPROCS(0))
	line("caches", "L1d %s, L2 %s, L3 %s", size(m.L1d), size(m.L2), size(m.L3))
	line("features", "%s", join(m.Features))
	line("levels", "%s", join(hw.Levels()))
	line("in use", "%s", hw.Current())
	if set := os.Getenv(hw.Env); hw.Err() != nil {
		line("", "ignored: %v", hw.Err())
	} else if set != "" {
		line("", "capped by %s=%s", hw.Env, set)
	}
	if why := hw.WhyNot(); why != "" {
		line("no more", "%s", why)
	}
}

func join[T any](list []T) string {
	if len(list) == 0 {
		return "none known"
	}
	return strings.Trim(fmt.Sprint(list), "[]")
}

func orUnknown(n int) string {
	if n == 0 {
		return "unknown"
	}
	return fmt.Sprint(n)
}

func size(n int) string {
	switch {
	case n == 0:
		return "unknown"
	case n%(1<<20) == 0:
		return fmt.Sprintf("%d MB", n>>20)
	}
	return fmt.Sprintf("%d KB", n>>10)
}
