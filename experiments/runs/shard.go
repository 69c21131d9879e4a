package runs

import (
	"fmt"
	"regexp"
	"strconv"
)

// Shard is a share of a sweep's runs: those whose index leaves the remainder Index when divided by
// Count. The zero value selects all runs.
type Shard struct{ Index, Count int }

var shardPattern = regexp.MustCompile(`^(\d+)/(\d+)$`)

// ParseShard reads i/n, with i from 0 to n-1.
func ParseShard(text string) (Shard, error) {
	match := shardPattern.FindStringSubmatch(text)
	if match == nil {
		return Shard{}, fmt.Errorf("invalid shard %q: want i/n, such as 0/4 for the first of four shards", text)
	}
	index, errIndex := strconv.Atoi(match[1])
	count, errCount := strconv.Atoi(match[2])
	switch {
	case errIndex != nil || errCount != nil || count == 0:
		return Shard{}, fmt.Errorf("invalid shard %q: n, the number of shards, must be 1 or more", text)
	case index >= count:
		return Shard{}, fmt.Errorf("invalid shard %q: i counts from 0, so the last of %d shards is %d/%d", text, count,
			count-1, count)
	}
	return Shard{index, count}, nil
}

// Of returns the items that belong to the shard.
func (s Shard) Of(items []Item) []Item {
	if s.Count == 0 {
		return items
	}
	var share []Item
	for i, item := range items {
		if i%s.Count == s.Index {
			share = append(share, item)
		}
	}
	return share
}
