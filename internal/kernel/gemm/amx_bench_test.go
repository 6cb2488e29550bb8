//go:build amd64 && !purego

package gemm

import (
	"fmt"
	"testing"
)

func BenchmarkTiles(b *testing.B) {
	if !useAMX {
		b.Skip("no tiles")
	}
	w, x, c := make([]uint16, 1<<22), make([]uint32, 1<<20), make([]float32, 1<<20)
	for _, v := range []struct{ ldw, blocks, steps, lo, panels int }{
		{256, 1, 8, 0, 1}, {256, 1, 8, 1, 1}, {256, 10, 8, 0, 1}, {256, 10, 8, 1, 1}, {768, 10, 8, 0, 1}, {768, 10, 8, 1, 1}, {2048, 10, 8, 1, 1}, {768, 10, 8, 1, 8}, {256, 4, 8, 1, 1}, {32, 10, 1, 0, 1},
	} {
		b.Run(fmt.Sprintf("ldw=%d/blocks=%d/steps=%d/lo=%d/panels=%d", v.ldw, v.blocks, v.steps, v.lo, v.panels), func(b *testing.B) {
			for b.Loop() {
				for i := range v.panels {
					amxPanel(&amxConfig, &w[0], 2*v.ldw, v.blocks, &x[i*8192*2], v.steps, v.lo*v.steps*16*128, &c[0], 0)
				}
			}
			b.ReportMetric(float64(b.N)*float64(v.panels*v.blocks*v.steps*(1+v.lo))*4*16*16*32*2/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
