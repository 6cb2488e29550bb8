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

//go:noescape
func matrixNoneNEON(c *matrixCall)

//go:noescape
func matrixAfterNEON(c *matrixCall)

//go:noescape
func matrixBeforeNEON(c *matrixCall)

//go:noescape
func matrixGroupNoneNEON(c *matrixCall)

//go:noescape
func matrixGroupAfterNEON(c *matrixCall)

//go:noescape
func matrixGroupBeforeNEON(c *matrixCall)

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
func matrixVectorGroupNoneNEON(c *matrixCall)

//go:noescape
func matrixVectorGroupAfterNEON(c *matrixCall)

//go:noescape
func matrixVectorGroupBeforeNEON(c *matrixCall)

//go:noescape
func matrixVectorRankOneNoneNEON(c *matrixCall)

//go:noescape
func matrixVectorRankOneAfterNEON(c *matrixCall)

//go:noescape
func matrixVectorRankOneBeforeNEON(c *matrixCall)

//go:noescape
func matrixNoneNEONPart(c *matrixCall)

//go:noescape
func matrixAfterNEONPart(c *matrixCall)

//go:noescape
func matrixBeforeNEONPart(c *matrixCall)

//go:noescape
func matrixGroupNoneNEONPart(c *matrixCall)

//go:noescape
func matrixGroupAfterNEONPart(c *matrixCall)

//go:noescape
func matrixGroupBeforeNEONPart(c *matrixCall)

//go:noescape
func matrixRankOneNoneNEONPart(c *matrixCall)

//go:noescape
func matrixRankOneAfterNEONPart(c *matrixCall)

//go:noescape
func matrixRankOneBeforeNEONPart(c *matrixCall)

//go:noescape
func convRow2NEON(c *convRowCall)

//go:noescape
func convRow2SiLUNEON(c *convRowCall)

//go:noescape
func convRow3NEON(c *convRowCall)

//go:noescape
func convRow3SiLUNEON(c *convRowCall)

//go:noescape
func convRow4NEON(c *convRowCall)

//go:noescape
func convRow4SiLUNEON(c *convRowCall)

//go:noescape
func convRow2NEONPart(c *convRowCall)

//go:noescape
func convRow2SiLUNEONPart(c *convRowCall)

//go:noescape
func convRow3NEONPart(c *convRowCall)

//go:noescape
func convRow3SiLUNEONPart(c *convRowCall)

//go:noescape
func convRow4NEONPart(c *convRowCall)

//go:noescape
func convRow4SiLUNEONPart(c *convRowCall)

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

func matrixNEON(c *matrixCall, form, read int) {
	switch 3*form + read {
	case 0:
		matrixNoneNEON(c)
	case 1:
		matrixAfterNEON(c)
	case 2:
		matrixBeforeNEON(c)
	case 3:
		matrixGroupNoneNEON(c)
	case 4:
		matrixGroupAfterNEON(c)
	case 5:
		matrixGroupBeforeNEON(c)
	case 6:
		matrixRankOneNoneNEON(c)
	case 7:
		matrixRankOneAfterNEON(c)
	default:
		matrixRankOneBeforeNEON(c)
	}
}

func matrixVectorNEON(c *matrixCall, form, read int) {
	switch 3*form + read {
	case 0:
		matrixVectorNoneNEON(c)
	case 1:
		matrixVectorAfterNEON(c)
	case 2:
		matrixVectorBeforeNEON(c)
	case 3:
		matrixVectorGroupNoneNEON(c)
	case 4:
		matrixVectorGroupAfterNEON(c)
	case 5:
		matrixVectorGroupBeforeNEON(c)
	case 6:
		matrixVectorRankOneNoneNEON(c)
	case 7:
		matrixVectorRankOneAfterNEON(c)
	default:
		matrixVectorRankOneBeforeNEON(c)
	}
}

func matrixNEONPart(c *matrixCall, form, read int) {
	switch 3*form + read {
	case 0:
		matrixNoneNEONPart(c)
	case 1:
		matrixAfterNEONPart(c)
	case 2:
		matrixBeforeNEONPart(c)
	case 3:
		matrixGroupNoneNEONPart(c)
	case 4:
		matrixGroupAfterNEONPart(c)
	case 5:
		matrixGroupBeforeNEONPart(c)
	case 6:
		matrixRankOneNoneNEONPart(c)
	case 7:
		matrixRankOneAfterNEONPart(c)
	default:
		matrixRankOneBeforeNEONPart(c)
	}
}

func convRowNEON(c *convRowCall, width int, silu bool) {
	switch {
	case width == 2 && silu:
		convRow2SiLUNEON(c)
	case width == 2:
		convRow2NEON(c)
	case width == 3 && silu:
		convRow3SiLUNEON(c)
	case width == 3:
		convRow3NEON(c)
	case silu:
		convRow4SiLUNEON(c)
	default:
		convRow4NEON(c)
	}
}

func convRowNEONPart(c *convRowCall, width int, silu bool) {
	switch {
	case width == 2 && silu:
		convRow2SiLUNEONPart(c)
	case width == 2:
		convRow2NEONPart(c)
	case width == 3 && silu:
		convRow3SiLUNEONPart(c)
	case width == 3:
		convRow3NEONPart(c)
	case silu:
		convRow4SiLUNEONPart(c)
	default:
		convRow4NEONPart(c)
	}
}

//go:noescape
func softmaxNEON(c *softmaxCall)

//go:noescape
func softmaxNEONPart(c *softmaxCall)

//go:noescape
func softmaxBackNEON(c *softmaxBackCall)

//go:noescape
func softmaxBackNEONPart(c *softmaxBackCall)

//go:noescape
func complexKeepNEON(c *complexBackCall)

//go:noescape
func complexBackNEON(c *complexBackCall)

//go:noescape
func complexGroupNEON(c *complexCall)

//go:noescape
func dplrNEON(c *dplrCall)

//go:noescape
func dplrNEONPart(c *dplrCall)

//go:noescape
func modesNEON(c *modesCall)

//go:noescape
func modesNEONPart(c *modesCall)

//go:noescape
func modesBackNEON(c *modesBackCall)

//go:noescape
func modesBackNEONPart(c *modesBackCall)

//go:noescape
func wkv4KeepNEON(c *wkv4BackCall)

//go:noescape
func wkv4BackNEON(c *wkv4BackCall)
