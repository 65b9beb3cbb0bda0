"""What ``train`` does for each kind of task: from the arguments, or a checkpoint, to a task that can be trained."""
