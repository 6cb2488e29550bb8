//go:build !purego

package rec

// The functions of rec_amd64.s, and which of a family to call.

//go:noescape
func selectiveKeepAVX512(c *selectiveBackCall)

//go:noescape
func selectiveKeepAVX2(c *selectiveBackCall)

//go:noescape
func selectiveBackAVX512(c *selectiveBackCall)

//go:noescape
func selectiveBackAVX2(c *selectiveBackCall)

//go:noescape
func selectiveAVX512(c *selectiveCall)

//go:noescape
func conv2AVX512(c *convCall)

//go:noescape
func conv2SiLUAVX512(c *convCall)

//go:noescape
func conv3AVX512(c *convCall)

//go:noescape
func conv3SiLUAVX512(c *convCall)

//go:noescape
func conv4AVX512(c *convCall)

//go:noescape
func conv4SiLUAVX512(c *convCall)

//go:noescape
func wkv4AVX512(c *wkv4Call)

//go:noescape
func complexAVX512(c *complexCall)

//go:noescape
func diagonalAVX512(c *diagonalCall)

//go:noescape
func selectiveAVX512Part(c *selectiveCall)

//go:noescape
func conv2AVX512Part(c *convCall)

//go:noescape
func conv2SiLUAVX512Part(c *convCall)

//go:noescape
func conv3AVX512Part(c *convCall)

//go:noescape
func conv3SiLUAVX512Part(c *convCall)

//go:noescape
func conv4AVX512Part(c *convCall)

//go:noescape
func conv4SiLUAVX512Part(c *convCall)

//go:noescape
func wkv4AVX512Part(c *wkv4Call)

//go:noescape
func complexAVX512Part(c *complexCall)

//go:noescape
func diagonalAVX512Part(c *diagonalCall)

//go:noescape
func selectiveAVX2(c *selectiveCall)

//go:noescape
func conv2AVX2(c *convCall)

//go:noescape
func conv2SiLUAVX2(c *convCall)

//go:noescape
func conv3AVX2(c *convCall)

//go:noescape
func conv3SiLUAVX2(c *convCall)

//go:noescape
func conv4AVX2(c *convCall)

//go:noescape
func conv4SiLUAVX2(c *convCall)

//go:noescape
func wkv4AVX2(c *wkv4Call)

//go:noescape
func complexAVX2(c *complexCall)

//go:noescape
func diagonalAVX2(c *diagonalCall)

//go:noescape
func selectiveAVX2Part(c *selectiveCall)

//go:noescape
func conv2AVX2Part(c *convCall)

//go:noescape
func conv2SiLUAVX2Part(c *convCall)

//go:noescape
func conv3AVX2Part(c *convCall)

//go:noescape
func conv3SiLUAVX2Part(c *convCall)

//go:noescape
func conv4AVX2Part(c *convCall)

//go:noescape
func conv4SiLUAVX2Part(c *convCall)

//go:noescape
func wkv4AVX2Part(c *wkv4Call)

//go:noescape
func complexAVX2Part(c *complexCall)

//go:noescape
func diagonalAVX2Part(c *diagonalCall)

//go:noescape
func matrixNoneAVX512(c *matrixCall)

//go:noescape
func matrixAfterAVX512(c *matrixCall)

//go:noescape
func matrixBeforeAVX512(c *matrixCall)

//go:noescape
func matrixGroupNoneAVX512(c *matrixCall)

//go:noescape
func matrixGroupAfterAVX512(c *matrixCall)

//go:noescape
func matrixGroupBeforeAVX512(c *matrixCall)

//go:noescape
func matrixRankOneNoneAVX512(c *matrixCall)

//go:noescape
func matrixRankOneAfterAVX512(c *matrixCall)

//go:noescape
func matrixRankOneBeforeAVX512(c *matrixCall)

//go:noescape
func matrixNoneAVX512Part(c *matrixCall)

//go:noescape
func matrixAfterAVX512Part(c *matrixCall)

//go:noescape
func matrixBeforeAVX512Part(c *matrixCall)

//go:noescape
func matrixGroupNoneAVX512Part(c *matrixCall)

//go:noescape
func matrixGroupAfterAVX512Part(c *matrixCall)

//go:noescape
func matrixGroupBeforeAVX512Part(c *matrixCall)

//go:noescape
func matrixRankOneNoneAVX512Part(c *matrixCall)

//go:noescape
func matrixRankOneAfterAVX512Part(c *matrixCall)

//go:noescape
func matrixRankOneBeforeAVX512Part(c *matrixCall)

//go:noescape
func matrixNoneAVX2(c *matrixCall)

//go:noescape
func matrixAfterAVX2(c *matrixCall)

//go:noescape
func matrixBeforeAVX2(c *matrixCall)

//go:noescape
func matrixGroupNoneAVX2(c *matrixCall)

//go:noescape
func matrixGroupAfterAVX2(c *matrixCall)

//go:noescape
func matrixGroupBeforeAVX2(c *matrixCall)

//go:noescape
func matrixRankOneNoneAVX2(c *matrixCall)

//go:noescape
func matrixRankOneAfterAVX2(c *matrixCall)

//go:noescape
func matrixRankOneBeforeAVX2(c *matrixCall)

//go:noescape
func matrixNoneAVX2Part(c *matrixCall)

//go:noescape
func matrixAfterAVX2Part(c *matrixCall)

//go:noescape
func matrixBeforeAVX2Part(c *matrixCall)

//go:noescape
func matrixGroupNoneAVX2Part(c *matrixCall)

//go:noescape
func matrixGroupAfterAVX2Part(c *matrixCall)

//go:noescape
func matrixGroupBeforeAVX2Part(c *matrixCall)

//go:noescape
func matrixRankOneNoneAVX2Part(c *matrixCall)

//go:noescape
func matrixRankOneAfterAVX2Part(c *matrixCall)

//go:noescape
func matrixRankOneBeforeAVX2Part(c *matrixCall)

//go:noescape
func convRow2AVX512(c *convRowCall)

//go:noescape
func convRow2SiLUAVX512(c *convRowCall)

//go:noescape
func convRow3AVX512(c *convRowCall)

//go:noescape
func convRow3SiLUAVX512(c *convRowCall)

//go:noescape
func convRow4AVX512(c *convRowCall)

//go:noescape
func convRow4SiLUAVX512(c *convRowCall)

//go:noescape
func convRow2AVX512Part(c *convRowCall)

//go:noescape
func convRow2SiLUAVX512Part(c *convRowCall)

//go:noescape
func convRow3AVX512Part(c *convRowCall)

//go:noescape
func convRow3SiLUAVX512Part(c *convRowCall)

//go:noescape
func convRow4AVX512Part(c *convRowCall)

//go:noescape
func convRow4SiLUAVX512Part(c *convRowCall)

//go:noescape
func convRow2AVX2(c *convRowCall)

//go:noescape
func convRow2SiLUAVX2(c *convRowCall)

//go:noescape
func convRow3AVX2(c *convRowCall)

//go:noescape
func convRow3SiLUAVX2(c *convRowCall)

//go:noescape
func convRow4AVX2(c *convRowCall)

//go:noescape
func convRow4SiLUAVX2(c *convRowCall)

//go:noescape
func convRow2AVX2Part(c *convRowCall)

//go:noescape
func convRow2SiLUAVX2Part(c *convRowCall)

//go:noescape
func convRow3AVX2Part(c *convRowCall)

//go:noescape
func convRow3SiLUAVX2Part(c *convRowCall)

//go:noescape
func convRow4AVX2Part(c *convRowCall)

//go:noescape
func convRow4SiLUAVX2Part(c *convRowCall)

func convAVX512(c *convCall, width int, silu bool) {
	switch {
	case width == 2 && silu:
		conv2SiLUAVX512(c)
	case width == 2:
		conv2AVX512(c)
	case width == 3 && silu:
		conv3SiLUAVX512(c)
	case width == 3:
		conv3AVX512(c)
	case silu:
		conv4SiLUAVX512(c)
	default:
		conv4AVX512(c)
	}
}

func convAVX512Part(c *convCall, width int, silu bool) {
	switch {
	case width == 2 && silu:
		conv2SiLUAVX512Part(c)
	case width == 2:
		conv2AVX512Part(c)
	case width == 3 && silu:
		conv3SiLUAVX512Part(c)
	case width == 3:
		conv3AVX512Part(c)
	case silu:
		conv4SiLUAVX512Part(c)
	default:
		conv4AVX512Part(c)
	}
}

func convAVX2(c *convCall, width int, silu bool) {
	switch {
	case width == 2 && silu:
		conv2SiLUAVX2(c)
	case width == 2:
		conv2AVX2(c)
	case width == 3 && silu:
		conv3SiLUAVX2(c)
	case width == 3:
		conv3AVX2(c)
	case silu:
		conv4SiLUAVX2(c)
	default:
		conv4AVX2(c)
	}
}

func convAVX2Part(c *convCall, width int, silu bool) {
	switch {
	case width == 2 && silu:
		conv2SiLUAVX2Part(c)
	case width == 2:
		conv2AVX2Part(c)
	case width == 3 && silu:
		conv3SiLUAVX2Part(c)
	case width == 3:
		conv3AVX2Part(c)
	case silu:
		conv4SiLUAVX2Part(c)
	default:
		conv4AVX2Part(c)
	}
}

func matrixAVX512(c *matrixCall, form, read int) {
	switch 3*form + read {
	case 0:
		matrixNoneAVX512(c)
	case 1:
		matrixAfterAVX512(c)
	case 2:
		matrixBeforeAVX512(c)
	case 3:
		matrixGroupNoneAVX512(c)
	case 4:
		matrixGroupAfterAVX512(c)
	case 5:
		matrixGroupBeforeAVX512(c)
	case 6:
		matrixRankOneNoneAVX512(c)
	case 7:
		matrixRankOneAfterAVX512(c)
	default:
		matrixRankOneBeforeAVX512(c)
	}
}

func matrixAVX512Part(c *matrixCall, form, read int) {
	switch 3*form + read {
	case 0:
		matrixNoneAVX512Part(c)
	case 1:
		matrixAfterAVX512Part(c)
	case 2:
		matrixBeforeAVX512Part(c)
	case 3:
		matrixGroupNoneAVX512Part(c)
	case 4:
		matrixGroupAfterAVX512Part(c)
	case 5:
		matrixGroupBeforeAVX512Part(c)
	case 6:
		matrixRankOneNoneAVX512Part(c)
	case 7:
		matrixRankOneAfterAVX512Part(c)
	default:
		matrixRankOneBeforeAVX512Part(c)
	}
}

func matrixAVX2(c *matrixCall, form, read int) {
	switch 3*form + read {
	case 0:
		matrixNoneAVX2(c)
	case 1:
		matrixAfterAVX2(c)
	case 2:
		matrixBeforeAVX2(c)
	case 3:
		matrixGroupNoneAVX2(c)
	case 4:
		matrixGroupAfterAVX2(c)
	case 5:
		matrixGroupBeforeAVX2(c)
	case 6:
		matrixRankOneNoneAVX2(c)
	case 7:
		matrixRankOneAfterAVX2(c)
	default:
		matrixRankOneBeforeAVX2(c)
	}
}

func matrixAVX2Part(c *matrixCall, form, read int) {
	switch 3*form + read {
	case 0:
		matrixNoneAVX2Part(c)
	case 1:
		matrixAfterAVX2Part(c)
	case 2:
		matrixBeforeAVX2Part(c)
	case 3:
		matrixGroupNoneAVX2Part(c)
	case 4:
		matrixGroupAfterAVX2Part(c)
	case 5:
		matrixGroupBeforeAVX2Part(c)
	case 6:
		matrixRankOneNoneAVX2Part(c)
	case 7:
		matrixRankOneAfterAVX2Part(c)
	default:
		matrixRankOneBeforeAVX2Part(c)
	}
}

func convRowAVX512(c *convRowCall, width int, silu bool) {
	switch {
	case width == 2 && silu:
		convRow2SiLUAVX512(c)
	case width == 2:
		convRow2AVX512(c)
	case width == 3 && silu:
		convRow3SiLUAVX512(c)
	case width == 3:
		convRow3AVX512(c)
	case silu:
		convRow4SiLUAVX512(c)
	default:
		convRow4AVX512(c)
	}
}

func convRowAVX512Part(c *convRowCall, width int, silu bool) {
	switch {
	case width == 2 && silu:
		convRow2SiLUAVX512Part(c)
	case width == 2:
		convRow2AVX512Part(c)
	case width == 3 && silu:
		convRow3SiLUAVX512Part(c)
	case width == 3:
		convRow3AVX512Part(c)
	case silu:
		convRow4SiLUAVX512Part(c)
	default:
		convRow4AVX512Part(c)
	}
}

func convRowAVX2(c *convRowCall, width int, silu bool) {
	switch {
	case width == 2 && silu:
		convRow2SiLUAVX2(c)
	case width == 2:
		convRow2AVX2(c)
	case width == 3 && silu:
		convRow3SiLUAVX2(c)
	case width == 3:
		convRow3AVX2(c)
	case silu:
		convRow4SiLUAVX2(c)
	default:
		convRow4AVX2(c)
	}
}

func convRowAVX2Part(c *convRowCall, width int, silu bool) {
	switch {
	case width == 2 && silu:
		convRow2SiLUAVX2Part(c)
	case width == 2:
		convRow2AVX2Part(c)
	case width == 3 && silu:
		convRow3SiLUAVX2Part(c)
	case width == 3:
		convRow3AVX2Part(c)
	case silu:
		convRow4SiLUAVX2Part(c)
	default:
		convRow4AVX2Part(c)
	}
}

//go:noescape
func softmaxAVX512(c *softmaxCall)

//go:noescape
func softmaxAVX2(c *softmaxCall)

//go:noescape
func softmaxAVX512Part(c *softmaxCall)

//go:noescape
func softmaxAVX2Part(c *softmaxCall)

//go:noescape
func softmaxBackAVX512(c *softmaxBackCall)

//go:noescape
func softmaxBackAVX2(c *softmaxBackCall)

//go:noescape
func softmaxBackAVX512Part(c *softmaxBackCall)

//go:noescape
func softmaxBackAVX2Part(c *softmaxBackCall)

//go:noescape
func complexKeepAVX512(c *complexBackCall)

//go:noescape
func complexKeepAVX2(c *complexBackCall)

//go:noescape
func complexBackAVX512(c *complexBackCall)

//go:noescape
func complexBackAVX2(c *complexBackCall)

//go:noescape
func complexGroupAVX512(c *complexCall)

//go:noescape
func complexGroupAVX2(c *complexCall)

//go:noescape
func dplrAVX512(c *dplrCall)

//go:noescape
func dplrAVX2(c *dplrCall)

//go:noescape
func dplrAVX512Part(c *dplrCall)

//go:noescape
func dplrAVX2Part(c *dplrCall)

//go:noescape
func modesAVX512(c *modesCall)

//go:noescape
func modesAVX2(c *modesCall)

//go:noescape
func modesAVX512Part(c *modesCall)

//go:noescape
func modesAVX2Part(c *modesCall)

//go:noescape
func modesBackAVX512(c *modesBackCall)

//go:noescape
func modesBackAVX2(c *modesBackCall)

//go:noescape
func modesBackAVX512Part(c *modesBackCall)

//go:noescape
func modesBackAVX2Part(c *modesBackCall)

//go:noescape
func wkv4KeepAVX512(c *wkv4BackCall)

//go:noescape
func wkv4KeepAVX2(c *wkv4BackCall)

//go:noescape
func wkv4BackAVX512(c *wkv4BackCall)

//go:noescape
func wkv4BackAVX2(c *wkv4BackCall)
