package hw_test

import (
	"fmt"

	"github.com/subquad/subquad/hw"
)

func Example() {
	// What the kernels use can be read and chosen; SUBQUAD_HW caps it from outside.
	best := hw.Current()
	if err := hw.Set(hw.Portable); err != nil {
		panic(err)
	}
	fmt.Println("in use:", hw.Current())
	if err := hw.Set(best); err != nil {
		panic(err)
	}

	// A loop is cut into tasks that are worth a goroutine, and shared.
	squares := make([]int, 1000)
	tasks := hw.Tasks(0, len(squares), 500) // about 500 ns an item
	hw.Parallel(0, tasks, func(t int) {
		lo, hi := hw.Range(t, tasks, len(squares))
		for i := lo; i < hi; i++ {
			squares[i] = i * i
		}
	})
	fmt.Println(squares[:4], squares[999])
	// Output:
	// in use: portable
	// [0 1 4 9] 998001
}
