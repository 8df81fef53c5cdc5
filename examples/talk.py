from constrained import Dialogue

maud = Dialogue("ferry", model="smollm2-135m")
turn = maud.reply("Row me over to the other side, please!")
print(turn.text, turn.effects[0])

# 2 silver, and mind the rope. pay(2)
