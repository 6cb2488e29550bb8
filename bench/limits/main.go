// Command limits measures what this machine can do at each instruction level:
// multiply-adds of one core, and bandwidth by size of the data.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"text/tabwriter"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/gemm"
)

func main() {
	largest := flag.Int("mb", 256, "largest buffer to read, in megabytes")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: go run ./bench/limits [-mb N]\n\nMeasures multiply-adds and reading, by one core and by all.")
		flag.PrintDefaults()
	}
	flag.Parse()
	cores := runtime.GOMAXPROCS(0)
	fmt.Printf("%s\n\n", hw.Info().Brand)
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "level\tone core\t%d cores\t\n", cores)
	for _, l := range hw.Levels() {
		if err := hw.Set(l); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Fprintf(out, "%v\t%.1f GFLOP/s\t%.1f GFLOP/s\t\n", l, gemm.PeakFLOPS()/1e9, all(cores, gemm.PeakFLOPS)/1e9)
	}
	if gemm.PeakTileFLOPS() > 0 {
		fmt.Fprintf(out, "tiles of bfloat16\t%.1f GFLOP/s\t%.1f GFLOP/s\t\n", gemm.PeakTileFLOPS()/1e9, all(cores, gemm.PeakTileFLOPS)/1e9)
	}
	fmt.Fprintf(out, "\t\t\t\nreading\tone core\t%d cores\t\n", cores)
	for size := 16 << 10; size <= *largest<<20; size *= 4 {
		fmt.Fprintf(out, "%d KiB\t%.1f GB/s\t%.1f GB/s\t\n", size>>10, gemm.ReadBandwidth(size)/1e9, gemm.ReadBandwidths(cores, size)/1e9)
	}
	out.Flush()
}

// all is the sum of what n goroutines measure at once.
func all(n int, measure func() float64) float64 {
	var wg sync.WaitGroup
	got := make([]float64, n)
	for i := range got {
		wg.Go(func() { got[i] = measure() })
	}
	wg.Wait()
	sum := 0.0
	for _, v := range got {
		sum += v
	}
	return sum
}
