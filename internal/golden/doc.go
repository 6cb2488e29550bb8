// Package golden checks this module against reference vectors computed by
// other people's code. It has tests only:
//
//	go test ./internal/golden -run TestGoldens -v
//
// runs every case under the folder named by SUBQUAD_GOLDENS (default: the
// subset in testdata) through every mode that its operator, layer or model
// has, and prints a line a case with the largest error of each mode. An error
// is the largest difference of an element, over the largest element of the
// reference tensor.
package golden
