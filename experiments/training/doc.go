// Package training holds the tasks that runs of experiments do: [Train] trains one network and
// measures it during training; [Initial], [ClosedForms] and [ArcLengths] measure random networks.
//
// [OpenRun] loads the network that a run trained.
package training
