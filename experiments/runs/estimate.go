package runs

import (
	"encoding/json"
	"time"
)

// Estimate is the time that the runs of a schedule will take, as far as similar runs are known.
type Estimate struct {
	Todo    int           // number of runs that are not complete
	Known   int           // number of those whose time can be estimated
	Sources int           // number of records that the estimate comes from
	Time    time.Duration // until the Known runs are done
}

// taskTimes adds up the times of runs of one task with different seeds.
type taskTimes struct {
	seconds float64
	records int
}

// Estimate estimates how long the schedule takes with a number of workers. A run takes as long as
// complete records of the same task on the same backend did, with any seed; if there is none, it
// takes as long for each unit as the other runs of its experiment with a task of its kind. The
// records may come from anywhere: those of another machine make the estimate less accurate.
func (s *Schedule) Estimate(known []*Record, workers int) (Estimate, error) {
	times := make(map[string]taskTimes)
	for _, record := range known {
		if record.Status != Complete || record.Backend != s.BackendName {
			continue
		}
		key, err := taskKey(record.Kind, record.Revision, record.Task)
		if err != nil {
			return Estimate{}, err
		}
		t := times[key]
		times[key] = taskTimes{t.seconds + record.Provenance.Seconds, t.records + 1}
	}
	var e Estimate
	var todo []Item
	similar := make(costs)
	counted := make(map[string]bool)
	for _, item := range s.Items {
		key, err := item.taskKey()
		if err != nil {
			return Estimate{}, err
		}
		if t := times[key]; t.records > 0 && !counted[key] {
			counted[key] = true
			e.Sources += t.records
			similar.add(item, t.seconds, int64(t.records)*item.Task.Units())
		}
		if record, err := s.lookUp(item); err != nil || record == nil {
			todo = append(todo, item)
		}
	}
	e.Todo = len(todo)
	var sum, longest float64
	for _, item := range todo {
		key, err := item.taskKey()
		if err != nil {
			return Estimate{}, err
		}
		var seconds float64
		if t := times[key]; t.records > 0 {
			seconds = t.seconds / float64(t.records)
		} else if perUnit, ok := similar.ofPart(item); ok {
			seconds = perUnit * float64(item.Task.Units())
		} else {
			continue
		}
		e.Known++
		sum, longest = sum+seconds, max(longest, seconds)
	}
	e.Time = time.Duration(max(longest, sum/float64(max(1, workers))) * float64(time.Second))
	return e, nil
}

// taskKey identifies the task of a run, whatever the seed, the backend and the data.
func (r Run) taskKey() (string, error) {
	task, err := json.Marshal(r.Task)
	if err != nil {
		return "", err
	}
	return taskKey(r.Task.Kind(), r.Task.Revision(), task)
}

func taskKey(kind string, revision int, task json.RawMessage) (string, error) {
	key, err := json.Marshal([]any{kind, revision, task}) // Marshal compacts the task.
	return string(key), err
}

// ofPart returns the seconds that a unit took in the runs of the item's experiment with a task of
// the same kind.
func (c costs) ofPart(item Item) (seconds float64, known bool) {
	total := c[costKey{item.Part, "", item.Task.Kind()}]
	if total.units == 0 {
		return 0, false
	}
	return total.seconds / float64(total.units), true
}
