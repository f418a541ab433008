"""The words beside and inside a picture: parameters of other tools, the legend of a grid."""
