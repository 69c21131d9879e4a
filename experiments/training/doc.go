// Package training holds the tasks that runs of experiments do: [Train] trains one network and
// measures it on the way; [Initial], [ClosedForms] and [ArcLengths] look at random networks.
//
// [OpenRun] loads a network that a run has trained.
package training
