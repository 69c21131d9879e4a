package experiment

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
)

// criteriaFile lists, for each experiment, the definitions of its claims by their hash, with the
// commit that fixed them. `make criteria` adds those of the last commit.
//
//go:embed criteria.json
var criteriaFile []byte

// Criteria says when the criteria of a result's claims were fixed: criteria that are younger than
// the runs could have been chosen to fit them.
type Criteria struct {
	SHA256 string `json:"sha256"` // of the claims' texts, statistics and criteria
	// Commit is the commit that fixed the criteria, at the time Fixed; it is empty if no commit has
	// them, for example if a limit was set on the command line.
	Commit string    `json:"commit,omitempty"`
	Fixed  time.Time `json:"fixed,omitzero"`
}

// criteriaOf returns the criteria of an experiment's claims; it is nil if there are no claims.
func criteriaOf(name string, claims []evidence.Claim) (*Criteria, error) {
	if len(claims) == 0 {
		return nil, nil
	}
	type definition struct {
		evidence.ClaimText
		Statistic, Criterion string
	}
	var definitions []definition
	for _, c := range claims {
		definitions = append(definitions, definition{c.ClaimText, c.Statistic, c.Criterion})
	}
	raw, err := json.Marshal(definitions)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	c := &Criteria{SHA256: hex.EncodeToString(sum[:])}
	fixed, err := FixedCriteria()
	if err != nil {
		return nil, err
	}
	for _, f := range fixed[name] {
		if f.SHA256 == c.SHA256 {
			return &f, nil
		}
	}
	return c, nil
}

// FixedCriteria returns, for each experiment's name, the criteria that commits have fixed.
func FixedCriteria() (map[string][]Criteria, error) {
	var fixed map[string][]Criteria
	if err := json.Unmarshal(criteriaFile, &fixed); err != nil {
		return nil, fmt.Errorf("criteria.json: %w", err)
	}
	return fixed, nil
}
