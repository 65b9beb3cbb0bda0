"""What MXNet 1.9.1 gets wrong for a whole process, put right: threads, copies, the environment.

:mod:`d2lrnn._runtime` imports these files and applies them around MXNet's import.  None of them imports MXNet itself.
"""
