package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/internal/settings"
)

// addCompletionCommand adds cobra's command that prints a completion script, with this program's
// messages for a wrong command line.
func addCompletionCommand(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.Use = "completion SHELL"
		cmd.Short = "Print the script with which a shell completes gcml's words"
		shells := commandNames(cmd)
		cmd.Args = func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("completion wants a shell: %s", strings.Join(shells, ", "))
			}
			return unknownWord("shell", args[0], shells)
		}
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		for _, shell := range cmd.Commands() {
			shell.Short = "Print the script for " + shell.Name()
			shell.Args = noArguments
		}
	}
}

// helpCommand is cobra's help command, with an error for an unknown command.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil {
				return usageError{err}
			}
			if len(rest) > 0 {
				return unknownWord("command", rest[0], commandNames(found))
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			var words []string
			if found, rest, err := cmd.Root().Find(args); err == nil && len(rest) == 0 {
				for _, c := range found.Commands() {
					if c.IsAvailableCommand() && strings.HasPrefix(c.Name(), prefix) {
						words = append(words, cobra.CompletionWithDesc(c.Name(), c.Short))
					}
				}
			}
			return words, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// completeOneExperiment completes a single number or name of an experiment.
func completeOneExperiment(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completeExperiments(cmd, nil, prefix)
}

// completeExperiments completes the numbers and names of experiments that are not given yet.
func completeExperiments(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	var words []string
	for _, e := range experiments.All() {
		info := e.Info()
		if slices.Contains(args, info.Number) || slices.Contains(args, info.Name) {
			continue
		}
		for word, description := range map[string]string{info.Number: info.Name, info.Name: info.Question} {
			if strings.HasPrefix(word, prefix) {
				words = append(words, cobra.CompletionWithDesc(word, description))
			}
		}
	}
	slices.Sort(words)
	return words, cobra.ShellCompDirectiveNoFileComp
}

// completeShow completes one experiment or the demo.
func completeShow(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	words, directive := completeOneExperiment(cmd, args, prefix)
	if demo := experiments.Demo.About; len(args) == 0 && strings.HasPrefix(demo.Name, prefix) {
		words = append(words, cobra.CompletionWithDesc(demo.Name, demo.Question))
	}
	return words, directive
}

// completeSweep completes experiments and the word for all of them.
func completeSweep(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	words, directive := completeExperiments(cmd, args, prefix)
	if len(args) == 0 && strings.HasPrefix(allExperiments, prefix) {
		words = append(words, cobra.CompletionWithDesc(allExperiments, "every experiment"))
	}
	return words, directive
}

// completeDatasets completes the name of a data set.
func completeDatasets(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	var words []string
	for _, name := range datasets.Names() {
		if strings.HasPrefix(name, prefix) {
			words = append(words, name)
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// completeOneDataset completes a single name of a data set.
func completeOneDataset(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completeDatasets(cmd, nil, prefix)
}

// completeSettings completes the keys of --set with those that all experiments of the arguments
// have.
func completeSettings(chosen func(args []string) ([]experiment.Experiment, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		found, err := chosen(args)
		if err != nil || len(found) == 0 || strings.Contains(prefix, "=") {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		scale := experiment.Laptop
		if f := cmd.Flags().Lookup("scale"); f != nil {
			scale = experiment.Scale(f.Value.String())
		}
		var words []string
		for _, key := range settings.Keys(found[0].DefaultConfig(scale)) {
			lacks := func(e experiment.Experiment) bool {
				return !slices.Contains(settings.Keys(e.DefaultConfig(scale)), key)
			}
			if strings.HasPrefix(key, prefix) && !slices.ContainsFunc(found[1:], lacks) {
				words = append(words, key+"=")
			}
		}
		return words, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFolders completes a flag with folders.
func completeFolders(cmd *cobra.Command, flag string) {
	complete(cmd, flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	})
}
