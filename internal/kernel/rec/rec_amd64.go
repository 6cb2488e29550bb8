//go:build !purego

package rec

import "github.com/subquad/subquad/hw"

var useAsm, useAVX512 bool

func init() {
	hw.OnLevel(func(l hw.Level) { useAsm, useAVX512 = l.Has(hw.AVX2), l.Has(hw.AVX512) })
}

// width is the number of floats in a vector.
func width() int {
	if useAVX512 {
		return 16
	}
	return 8
}

// channels is how many of n channels the next call takes, and whether that is a part of a vector.
func channels(n int) (lanes int, part bool) {
	w := width()
	return min(w, n), n < w
}

// groupTokens is the number of tokens of a group.
func groupTokens() int {
	if useAVX512 {
		return 3
	}
	return 2
}

// complexTokens is the number of tokens of a group of complexGroupAsm.
func complexTokens() int {
	if useAVX512 {
		return 4
	}
	return 2
}

func complexGroupAsm(c *complexCall) {
	if useAVX512 {
		complexGroupAVX512(c)
	} else {
		complexGroupAVX2(c)
	}
}

// columns is how many of n columns the next call of matrixAsm takes: four
// vectors, with AVX2 two where four do not fit the registers, or at most one.
func columns(n, form int) int {
	w, many := width(), 4
	if !useAVX512 && form != formToken {
		many = 2
	}
	if n >= many*w {
		return many * w
	}
	return min(w, n)
}

func selectiveAsm(c *selectiveCall, part bool) {
	switch {
	case useAVX512 && part:
		selectiveAVX512Part(c)
	case useAVX512:
		selectiveAVX512(c)
	case part:
		selectiveAVX2Part(c)
	default:
		selectiveAVX2(c)
	}
}

func diagonalAsm(c *diagonalCall, part bool) {
	switch {
	case useAVX512 && part:
		diagonalAVX512Part(c)
	case useAVX512:
		diagonalAVX512(c)
	case part:
		diagonalAVX2Part(c)
	default:
		diagonalAVX2(c)
	}
}

func complexAsm(c *complexCall, part bool) {
	switch {
	case useAVX512 && part:
		complexAVX512Part(c)
	case useAVX512:
		complexAVX512(c)
	case part:
		complexAVX2Part(c)
	default:
		complexAVX2(c)
	}
}

func wkv4Asm(c *wkv4Call, part bool) {
	switch {
	case useAVX512 && part:
		wkv4AVX512Part(c)
	case useAVX512:
		wkv4AVX512(c)
	case part:
		wkv4AVX2Part(c)
	default:
		wkv4AVX2(c)
	}
}

func softmaxAsm(c *softmaxCall, part bool) {
	switch {
	case useAVX512 && part:
		softmaxAVX512Part(c)
	case useAVX512:
		softmaxAVX512(c)
	case part:
		softmaxAVX2Part(c)
	default:
		softmaxAVX2(c)
	}
}

func softmaxBackAsm(c *softmaxBackCall, part bool) {
	switch {
	case useAVX512 && part:
		softmaxBackAVX512Part(c)
	case useAVX512:
		softmaxBackAVX512(c)
	case part:
		softmaxBackAVX2Part(c)
	default:
		softmaxBackAVX2(c)
	}
}

func dplrAsm(c *dplrCall, part bool) {
	switch {
	case useAVX512 && part:
		dplrAVX512Part(c)
	case useAVX512:
		dplrAVX512(c)
	case part:
		dplrAVX2Part(c)
	default:
		dplrAVX2(c)
	}
}

func modesAsm(c *modesCall, part bool) {
	switch {
	case useAVX512 && part:
		modesAVX512Part(c)
	case useAVX512:
		modesAVX512(c)
	case part:
		modesAVX2Part(c)
	default:
		modesAVX2(c)
	}
}

func modesBackAsm(c *modesBackCall, part bool) {
	switch {
	case useAVX512 && part:
		modesBackAVX512Part(c)
	case useAVX512:
		modesBackAVX512(c)
	case part:
		modesBackAVX2Part(c)
	default:
		modesBackAVX2(c)
	}
}

func selectiveKeepAsm(c *selectiveBackCall) {
	if useAVX512 {
		selectiveKeepAVX512(c)
	} else {
		selectiveKeepAVX2(c)
	}
}

func selectiveBackAsm(c *selectiveBackCall) {
	if useAVX512 {
		selectiveBackAVX512(c)
	} else {
		selectiveBackAVX2(c)
	}
}

func complexKeepAsm(c *complexBackCall) {
	if useAVX512 {
		complexKeepAVX512(c)
	} else {
		complexKeepAVX2(c)
	}
}

func complexBackAsm(c *complexBackCall) {
	if useAVX512 {
		complexBackAVX512(c)
	} else {
		complexBackAVX2(c)
	}
}

func wkv4KeepAsm(c *wkv4BackCall) {
	if useAVX512 {
		wkv4KeepAVX512(c)
	} else {
		wkv4KeepAVX2(c)
	}
}

func wkv4BackAsm(c *wkv4BackCall) {
	if useAVX512 {
		wkv4BackAVX512(c)
	} else {
		wkv4BackAVX2(c)
	}
}

func matrixAsm(c *matrixCall, form, read int) {
	wide := c.lanes > width()
	switch {
	case useAVX512 && wide:
		matrixAVX512(c, form, read)
	case useAVX512:
		matrixAVX512Part(c, form, read)
	case wide:
		matrixAVX2(c, form, read)
	default:
		matrixAVX2Part(c, form, read)
	}
}

func convAsm(c *convCall, width int, silu, part bool) {
	switch {
	case useAVX512 && part:
		convAVX512Part(c, width, silu)
	case useAVX512:
		convAVX512(c, width, silu)
	case part:
		convAVX2Part(c, width, silu)
	default:
		convAVX2(c, width, silu)
	}
}

func convRowAsm(c *convRowCall, width int, silu, part bool) {
	switch {
	case useAVX512 && part:
		convRowAVX512Part(c, width, silu)
	case useAVX512:
		convRowAVX512(c, width, silu)
	case part:
		convRowAVX2Part(c, width, silu)
	default:
		convRowAVX2(c, width, silu)
	}
}
