// What the console says of erasing people and keeping evidence: [Chinese, English].
export default {
  privacy: ["隐私", "Privacy"],
  erase: ["删除此人的数据…", "Erase this person…"],
  "erase-title": ["删除此人的个人数据", "Erase this person"],
  "erase-sure": ["此人的消息和资料将在所有地方永久无法读取，无法恢复。", "Nothing this person wrote, and nothing about them, can be read any more, anywhere. This can't be undone."],
  "erase-type": ["输入“{word}”以确认", "Type “{word}” to confirm"],
  "erase-do": ["永久删除", "Erase for ever"],
  "erase-done": ["个人数据已删除。", "The person's data is erased."],
  "erase-mismatch": ["输入的内容不一致。", "That is not what was asked for."],
  "hold-place": ["设置法律保全…", "Place a legal hold…"],
  "hold-place-about": ["会话将作为证据保留，在解除之前不能删除客户的数据。", "The conversation is kept as evidence; its contact can't be erased until the hold is lifted."],
  "hold-lift": ["解除法律保全…", "Lift the legal hold…"],
  "hold-lift-about": ["会话不再需要保留，之后可以删除客户的数据。", "It need not be kept any more; its contact can be erased afterwards."],
  hold: ["法律保全：{reason}", "Legal hold: {reason}"],
};
