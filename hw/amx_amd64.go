//go:build !purego

package hw

import (
	"errors"
	"fmt"
	"math"
)

// amxBF16 is one tile product with the instructions that kernels use: with A as
// 16 rows of 32 bfloat16 and B as 16 rows of 16 pairs,
//
//	for i, j, k { c[i][j] += a[i][2k]*b[k][2j] + a[i][2k+1]*b[k][2j+1] }
//
// It must not run before the system has given permission: the first tile
// instruction would end the process. AX cfg, SI a, DI b, DX c, R9 stride.
//
//go:noescape
func amxBF16(cfg *[64]byte, a, b *[512]uint16, c *[256]float32)

// amxInt8 is the same with groups of four signed bytes and int32 sums.
//
//go:noescape
func amxInt8(cfg *[64]byte, a, b *[1024]int8, c *[256]int32)

// startAMX asks the system for the tiles and tries one product of each type.
func startAMX() error {
	if err := permitAMX(); err != nil {
		return err
	}
	return testAMX()
}

// testAMX multiplies tiles of small integers, whose products are exact in any order.
func testAMX() error {
	var cfg [64]byte
	cfg[0] = 1 // palette 1: eight tiles of 16 rows of 64 bytes
	for t := range 8 {
		cfg[16+2*t], cfg[48+t] = 64, 16
	}
	// Both operands are groups of g along k: A[i][k] is at i*16g+k, B[k][j] at
	// (k/g)*16g + j*g + k%g. Values differ by place, so that a transposed or
	// shifted tile cannot pass.
	value := func(x, y int) int { return (x*7+y*5+x*y)%13 - 6 }
	want := func(i, j, g int) (s int) {
		for k := range 16 * g {
			s += value(i, k) * value(k+3, j)
		}
		return s
	}
	var a, b [512]uint16
	var a8, b8 [1024]int8
	for i := range 16 {
		for k := range 64 {
			a8[i*64+k], b8[k/4*64+i*4+k%4] = int8(value(i, k)), int8(value(k+3, i))
			if k < 32 {
				a[i*32+k], b[k/2*32+i*2+k%2] = bf16(value(i, k)), bf16(value(k+3, i))
			}
		}
	}
	var c [256]float32
	var c8 [256]int32
	amxBF16(&cfg, &a, &b, &c)
	amxInt8(&cfg, &a8, &b8, &c8)
	for i := range 16 {
		for j := range 16 {
			if w := want(i, j, 2); c[i*16+j] != float32(w) {
				return fmt.Errorf("the bfloat16 tiles' self-test gave %v, want %d", c[i*16+j], w)
			}
			if w := want(i, j, 4); c8[i*16+j] != int32(w) {
				return fmt.Errorf("the int8 tiles' self-test gave %d, want %d", c8[i*16+j], w)
			}
		}
	}
	return nil
}

// bf16 is exact for integers of up to eight bits.
func bf16(v int) uint16 { return uint16(math.Float32bits(float32(v)) >> 16) }

var errNoAMX = errors.New("this system gives no permission for the tiles")
