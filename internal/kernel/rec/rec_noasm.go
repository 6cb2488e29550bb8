//go:build purego || !(amd64 || arm64)

package rec

func matrix(a *MatrixArgs) { matrixGeneric(a) }

func matrixBack(a *MatrixArgs, g *MatrixGrads, t int, s, next []float32) {
	matrixBackGeneric(a, g, t, s, next)
}

func selective(a *SelectiveArgs) { selectiveGeneric(a) }

func selectiveBack(a *SelectiveArgs, g *SelectiveGrads) { selectiveBackGeneric(a, g) }

func diagonal(a *DiagonalArgs) { diagonalGeneric(a) }

func complexDiagonal(a *ComplexArgs) { complexGeneric(a) }

func wkv4(a *WKV4Args) { wkv4Generic(a) }

func conv(a *ConvArgs) { convGeneric(a) }

func softmax(a *SoftmaxArgs) { softmaxGeneric(a) }

func softmaxBack(g *SoftmaxGrads) { softmaxBackGeneric(g) }

func complexBack(a *ComplexArgs, g *ComplexGrads, c, w int) { complexBackGeneric(a, g, c, w) }

func dplr(a *DPLRArgs) { dplrGeneric(a) }

func modes(a *ModesArgs) { modesGeneric(a) }

func modesBack(a *ModesArgs, g *ModesGrads) { modesBackGeneric(a, g) }

func wkv4Back(a *WKV4Args, g *WKV4Grads, c, n int) { wkv4BackGeneric(a, g, c, n) }
