package gemm

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/subquad/subquad/hw"
)

// PeakFLOPS measures for about 20 ms what one core can do at the current level
// when it only multiplies and adds in registers, in float32 operations a
// second. Benchmarks divide by it.
func PeakFLOPS() float64 { return fastest(func() float64 { return peakLoop(1000) }) }

// PeakTileFLOPS is PeakFLOPS for tiles of bfloat16, in the first-level cache; 0 where there are none.
func PeakTileFLOPS() float64 {
	if peakTiles() == 0 {
		return 0
	}
	return fastest(peakTiles)
}

// fastest is the best rate of ten calls of f, which says how many operations it did.
func fastest(f func() float64) float64 {
	best := 0.0
	for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
		t := time.Now()
		flop := 0.0
		for range 10 {
			flop += f()
		}
		best = max(best, flop/time.Since(t).Seconds())
	}
	return best
}

// ReadBandwidth measures how fast one core reads a buffer of the given size, in large pages where
// there are such, over and over, in bytes a second, for about 20 ms.
func ReadBandwidth(bytes int) float64 {
	buf := readBuffer(bytes)
	best := 0.0
	for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
		t := time.Now()
		read := 0
		for read < 1<<20 {
			read += readAll(buf)
		}
		best = max(best, float64(read)/time.Since(t).Seconds())
	}
	return best
}

// ReadBandwidths is what n goroutines read together, each a buffer of its own, in
// 40 ms in which all of them do.
func ReadBandwidths(n, bytes int) float64 {
	var read atomic.Int64
	var stop atomic.Bool
	var ready, ended sync.WaitGroup
	ready.Add(n)
	for range n {
		ended.Go(func() {
			buf := readBuffer(bytes)
			readAll(buf)
			ready.Done()
			for !stop.Load() {
				for rest := buf; len(rest) > 0 && !stop.Load(); {
					piece := rest[:min(len(rest), 1<<18)]
					read.Add(int64(readAll(piece)))
					rest = rest[len(piece):]
				}
			}
		})
	}
	ready.Wait()
	t, before := time.Now(), read.Load()
	time.Sleep(40 * time.Millisecond)
	rate := float64(read.Load()-before) / time.Since(t).Seconds()
	stop.Store(true)
	ended.Wait()
	return rate
}

func readBuffer(bytes int) []float32 {
	buf := make([]float32, max(1, bytes/4))
	for i := range buf {
		buf[i] = 1
	}
	hw.LargePages(buf)
	return buf
}

// readAll reads buf, in calls that can be preempted, and returns its bytes.
func readAll(buf []float32) int {
	var sink float32
	for rest := buf; len(rest) > 0; {
		n := min(len(rest), 1<<16)
		sink += readLoop(rest[:n])
		rest = rest[n:]
	}
	runtime.KeepAlive(sink)
	return 4 * len(buf)
}

func peakLoopGeneric(n int) float64 {
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	const x, y = 1.5, 0.25
	for range n {
		s0 = s0*y + x
		s1 = s1*y + x
		s2 = s2*y + x
		s3 = s3*y + x
		s4 = s4*y + x
		s5 = s5*y + x
		s6 = s6*y + x
		s7 = s7*y + x
	}
	runtime.KeepAlive(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7)
	return float64(n) * 16
}

func readLoopGeneric(x []float32) float32 {
	var s0, s1, s2, s3 float32
	for ; len(x) >= 4; x = x[4:] {
		s0 += x[0]
		s1 += x[1]
		s2 += x[2]
		s3 += x[3]
	}
	return s0 + s1 + s2 + s3
}
