package gemm

import "fmt"

// A Precision says how exactly products are computed where the processor has faster ways
// than float32: tiles of bfloat16, for many rows, take each number as a sum of so many of
// them; panels take each number of A as so many digits of eight bits (panel.go).
// Elsewhere all are Highest. Sums are float32 in each. Errors are those of an element relative to the
// sum of the sizes of its products, measured by TestPrecisions and TestMulPanels.
type Precision uint8

const (
	Highest Precision = iota // three terms, all 24 bits of a float32: 7e-8; three digits: 1.4e-7; float32 arithmetic has 3.5e-7
	High                     // two terms, 16 bits: 1e-6; two digits: 2.5e-5
	Medium                   // rounded to bfloat16: 8e-4; one digit: 8e-3
)

func (p Precision) String() string {
	if p <= Medium {
		return [...]string{"highest", "high", "medium"}[p]
	}
	return fmt.Sprintf("Precision(%d)", uint8(p))
}
