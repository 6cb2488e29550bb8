//go:build purego || !amd64

package gemm

func (p *product) canTile() bool { return false }

func (p *product) tileFLOPS() float64 { return blk.flops }

func (p *product) tiles(i0, i1, j0, j1 int) { panic("gemm: no tiles") }

func peakTiles() float64 { return 0 }

func (p *product) tileGrain() (rows, cols int, byRow bool) { panic("gemm: no tiles") }

func (p *product) packShared(workers int) *scratch { panic("gemm: no tiles") }
