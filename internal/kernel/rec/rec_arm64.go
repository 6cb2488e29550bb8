//go:build !purego

package rec

import "github.com/subquad/subquad/hw"

var useAsm bool

func init() {
	hw.OnLevel(func(l hw.Level) { useAsm = l.Has(hw.NEON) })
}

// width is the number of floats in a vector.
func width() int { return 4 }

// channels is how many of n channels the next call takes, and whether that is a part of a vector.
func channels(n int) (lanes int, part bool) {
	if n < 4 {
		return 1, true
	}
	return 4, false
}

// groupTokens is the number of tokens of a group.
func groupTokens() int { return 3 }

// columns is how many of n columns the next call of matrixAsm takes: four vectors, one, or one column.
func columns(n, form int) int {
	switch {
	case n >= 16:
		return 16
	case n >= 4:
		return 4
	}
	return 1
}

func selectiveAsm(c *selectiveCall, part bool) {
	if part {
		selectiveNEONPart(c)
	} else {
		selectiveNEON(c)
	}
}

func diagonalAsm(c *diagonalCall, part bool) {
	if part {
		diagonalNEONPart(c)
	} else {
		diagonalNEON(c)
	}
}

func complexAsm(c *complexCall, part bool) {
	if part {
		complexNEONPart(c)
	} else {
		complexNEON(c)
	}
}

func wkv4Asm(c *wkv4Call, part bool) {
	if part {
		wkv4NEONPart(c)
	} else {
		wkv4NEON(c)
	}
}

func softmaxAsm(c *softmaxCall, part bool) {
	if part {
		softmaxNEONPart(c)
	} else {
		softmaxNEON(c)
	}
}

func softmaxBackAsm(c *softmaxBackCall, part bool) {
	if part {
		softmaxBackNEONPart(c)
	} else {
		softmaxBackNEON(c)
	}
}

func dplrAsm(c *dplrCall, part bool) {
	if part {
		dplrNEONPart(c)
	} else {
		dplrNEON(c)
	}
}

func modesAsm(c *modesCall, part bool) {
	if part {
		modesNEONPart(c)
	} else {
		modesNEON(c)
	}
}

func modesBackAsm(c *modesBackCall, part bool) {
	if part {
		modesBackNEONPart(c)
	} else {
		modesBackNEON(c)
	}
}

func selectiveKeepAsm(c *selectiveBackCall) { selectiveKeepNEON(c) }

func selectiveBackAsm(c *selectiveBackCall) { selectiveBackNEON(c) }

// complexTokens is the number of tokens of a group of complexGroupAsm.
func complexTokens() int { return 4 }

func complexGroupAsm(c *complexCall) { complexGroupNEON(c) }

func complexKeepAsm(c *complexBackCall) { complexKeepNEON(c) }

func complexBackAsm(c *complexBackCall) { complexBackNEON(c) }

func wkv4KeepAsm(c *wkv4BackCall) { wkv4KeepNEON(c) }

func wkv4BackAsm(c *wkv4BackCall) { wkv4BackNEON(c) }

func matrixAsm(c *matrixCall, form, read int) {
	switch c.lanes {
	case 16:
		matrixNEON(c, form, read)
	case 4:
		matrixVectorNEON(c, form, read)
	default:
		matrixNEONPart(c, form, read)
	}
}

func convAsm(c *convCall, width int, silu, part bool) {
	if part {
		convNEONPart(c, width, silu)
	} else {
		convNEON(c, width, silu)
	}
}

func convRowAsm(c *convRowCall, width int, silu, part bool) {
	if part {
		convRowNEONPart(c, width, silu)
	} else {
		convRowNEON(c, width, silu)
	}
}
