"""What is made of a judged stack beside derived images: outlines, numbers, pages, questions.

artist      the network that draws, and its name in what it drew
outlining   pixels -> outlines of all phases -> the numbers
shown       the images a reader will look at, for whatever points at them
page        what the page of pictures shows, and in which order
objects     outlines and numbers -> SEG, SR, page; questions -> key objects
maker       which of them a stack gets, each made and kept apart from the others
"""
