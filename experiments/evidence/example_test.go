package evidence_test

import (
	"fmt"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
)

func ExampleClaimsText() {
	fmt.Print(evidence.ClaimsText([]evidence.Claim{{Text: "GC rises while the network fits",
		Evidence: "rank correlation 0.98 with the step", Criterion: "interval above 0", Verdict: evidence.Holds}}, nil))
	// Output:
	// HOLDS          GC rises while the network fits
	//                rank correlation 0.98 with the step
	//                holds if: interval above 0
}
