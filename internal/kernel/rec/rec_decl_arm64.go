//go:build !purego

package rec

// The functions of rec_arm64.s, and which of a family to call.

//go:noescape
func selectiveNEON(c *selectiveCall)

//go:noescape
func selectiveKeepNEON(c *selectiveBackCall)

//go:noescape
func selectiveBackNEON(c *selectiveBackCall)

//go:noescape
func matrixNoneNEON(c *matrixCall)

//go:noescape
func matrixAfterNEON(c *matrixCall)

//go:noescape
func matrixBeforeNEON(c *matrixCall)

//go:noescape
func matrixRankOneNoneNEON(c *matrixCall)

//go:noescape
func matrixRankOneAfterNEON(c *matrixCall)

//go:noescape
func matrixRankOneBeforeNEON(c *matrixCall)

//go:noescape
func matrixVectorNoneNEON(c *matrixCall)

//go:noescape
func matrixVectorAfterNEON(c *matrixCall)

//go:noescape
func matrixVectorBeforeNEON(c *matrixCall)

//go:noescape
func matrixVectorRankOneNoneNEON(c *matrixCall)

//go:noescape
func matrixVectorRankOneAfterNEON(c *matrixCall)

//go:noescape
func matrixVectorRankOneBeforeNEON(c *matrixCall)

//go:noescape
func conv2NEON(c *convCall)

//go:noescape
func conv2SiLUNEON(c *convCall)

//go:noescape
func conv3NEON(c *convCall)

//go:noescape
func conv3SiLUNEON(c *convCall)

//go:noescape
func conv4NEON(c *convCall)

//go:noescape
func conv4SiLUNEON(c *convCall)

//go:noescape
func wkv4NEON(c *wkv4Call)

//go:noescape
func complexNEON(c *complexCall)

//go:noescape
func diagonalNEON(c *diagonalCall)

//go:noescape
func selectiveNEONPart(c *selectiveCall)

//go:noescape
func matrixNoneNEONPart(c *matrixCall)

//go:noescape
func matrixAfterNEONPart(c *matrixCall)

//go:noescape
func matrixBeforeNEONPart(c *matrixCall)

//go:noescape
func matrixRankOneNoneNEONPart(c *matrixCall)

//go:noescape
func matrixRankOneAfterNEONPart(c *matrixCall)

//go:noescape
func matrixRankOneBeforeNEONPart(c *matrixCall)

//go:noescape
func conv2NEONPart(c *convCall)

//go:noescape
func conv2SiLUNEONPart(c *convCall)

//go:noescape
func conv3NEONPart(c *convCall)

//go:noescape
func conv3SiLUNEONPart(c *convCall)

//go:noescape
func conv4NEONPart(c *convCall)

//go:noescape
func conv4SiLUNEONPart(c *convCall)

//go:noescape
func wkv4NEONPart(c *wkv4Call)

//go:noescape
func complexNEONPart(c *complexCall)

//go:noescape
func diagonalNEONPart(c *diagonalCall)

func matrixNEON(c *matrixCall, rankOne bool, read int) {
	switch {
	case rankOne && read == 0:
		matrixRankOneNoneNEON(c)
	case rankOne && read == 1:
		matrixRankOneAfterNEON(c)
	case rankOne:
		matrixRankOneBeforeNEON(c)
	case read == 0:
		matrixNoneNEON(c)
	case read == 1:
		matrixAfterNEON(c)
	default:
		matrixBeforeNEON(c)
	}
}

func matrixVectorNEON(c *matrixCall, rankOne bool, read int) {
	switch {
	case rankOne && read == 0:
		matrixVectorRankOneNoneNEON(c)
	case rankOne && read == 1:
		matrixVectorRankOneAfterNEON(c)
	case rankOne:
		matrixVectorRankOneBeforeNEON(c)
	case read == 0:
		matrixVectorNoneNEON(c)
	case read == 1:
		matrixVectorAfterNEON(c)
	default:
		matrixVectorBeforeNEON(c)
	}
}

func matrixNEONPart(c *matrixCall, rankOne bool, read int) {
	switch {
	case rankOne && read == 0:
		matrixRankOneNoneNEONPart(c)
	case rankOne && read == 1:
		matrixRankOneAfterNEONPart(c)
	case rankOne:
		matrixRankOneBeforeNEONPart(c)
	case read == 0:
		matrixNoneNEONPart(c)
	case read == 1:
		matrixAfterNEONPart(c)
	default:
		matrixBeforeNEONPart(c)
	}
}

func convNEON(c *convCall, width int, silu bool) {
	switch {
	case width == 2 && silu:
		conv2SiLUNEON(c)
	case width == 2:
		conv2NEON(c)
	case width == 3 && silu:
		conv3SiLUNEON(c)
	case width == 3:
		conv3NEON(c)
	case silu:
		conv4SiLUNEON(c)
	default:
		conv4NEON(c)
	}
}

func convNEONPart(c *convCall, width int, silu bool) {
	switch {
	case width == 2 && silu:
		conv2SiLUNEONPart(c)
	case width == 2:
		conv2NEONPart(c)
	case width == 3 && silu:
		conv3SiLUNEONPart(c)
	case width == 3:
		conv3NEONPart(c)
	case silu:
		conv4SiLUNEONPart(c)
	default:
		conv4NEONPart(c)
	}
}
